"""Batches as tf.data pipelines, which run beside TensorFlow's training step."""

import tensorflow as tf

from keras_asgld.data.plan import sides


def training(data, initial_epoch):
    """Returns an endless pipeline of training batches, from an epoch on."""
    inputs, labels = _on_cpu(data.train_examples)
    alternating = data.preprocessing.alternating
    first_sides = sides(data.seed, data.train_size) if alternating else None

    def batch(indices, draws):
        chosen = data.preprocessing.augment(tf.gather(inputs, indices), draws)
        return data.preprocessing.normalise(chosen), tf.gather(labels, indices)

    def plan(epoch):
        return _plan(data, epoch, first_sides)

    return (
        tf.data.Dataset.range(initial_epoch, tf.int64.max)
        .flat_map(plan)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .apply(
            tf.data.experimental.assert_cardinality(
                tf.data.experimental.INFINITE_CARDINALITY
            )
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def once(data, examples):
    """Returns the batches of the examples in their order."""

    def batch(inputs, labels):
        return data.preprocessing.normalise(inputs), labels

    return (
        tf.data.Dataset.from_tensor_slices(_on_cpu(examples))
        .batch(data.batch_size)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _plan(data, epoch, first_sides):
    """An epoch's batches of example indices and of their draws, as `plan.plan`'s.

    `first_sides` are None where mirrors are drawn anew in each epoch.

    They are drawn in the graph. `plan.plan` itself, in a `tf.numpy_function`, gives the
    same batches, but the pipeline draws ahead, and a process that ends meanwhile waits
    forever: its Python is gone, and the function never returns.
    """
    order_seed, draw_seed = tf.unstack(tf.random.split([data.seed, epoch], 2))
    order = tf.random.experimental.stateless_shuffle(
        tf.range(data.train_size), order_seed
    )
    ways = tf.constant(data.preprocessing.ways, tf.float32)
    uniform = tf.random.stateless_uniform((data.train_size, 3), draw_seed)
    draws = tf.cast(uniform * ways, tf.int32)
    if first_sides is not None:
        turned = tf.gather(first_sides, order) + tf.cast(epoch % 2, tf.int32)
        draws = tf.concat([draws[:, :-1], turned[:, None] % 2], axis=1)
    return tf.data.Dataset.from_tensor_slices((order, draws)).batch(data.batch_size)


def _on_cpu(examples):
    # Left to itself TensorFlow would put the whole data set on the accelerator.
    with tf.device("CPU"):
        return tf.constant(examples.inputs), tf.constant(examples.labels)
