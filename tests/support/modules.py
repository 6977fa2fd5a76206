"""SavedModels as people publish them, written by TensorFlow for the tests."""

import numpy as np
import tensorflow as tf


def write_reusable(path, features=6, width=4):
    """A reusable SavedModel: dense layer, batch norm, an operation that XLA refuses.

    Its names are those that real modules have: slashes, and two alike.
    """
    random = np.random.RandomState(0)
    module = tf.__internal__.tracking.AutoTrackable()
    kernel = tf.Variable(
        random.normal(size=(features, width)).astype("float32"), name="block/w"
    )
    scale = tf.Variable(tf.ones(width), name="block/w")
    mean = tf.Variable(tf.zeros(width), trainable=False, name="moving_mean")
    module.kernel, module.scale, module.mean = kernel, scale, mean

    @tf.function
    def call(x, training=False, gain=1.0):
        # XLA has no unique_with_counts: its shape depends on the values.
        values, _, counts = tf.unique_with_counts(tf.reshape(x, [-1]))
        everything = tf.reduce_sum(values * tf.cast(counts, values.dtype))
        y = tf.matmul(x, kernel)
        if training:
            mean.assign(0.5 * mean + 0.5 * tf.reduce_mean(y, 0))
        return gain * scale * (y - mean) + 0.0 * tf.stop_gradient(everything)

    for training in (True, False):
        for gain in (1.0, 2.0):
            call.get_concrete_function(
                tf.TensorSpec((None, features)), training=training, gain=gain
            )

    @tf.function(input_signature=[])
    def penalty():
        return 0.01 * tf.reduce_sum(tf.square(kernel))

    module.__call__ = call
    module.variables = [kernel, scale, mean]
    module.trainable_variables = [kernel, scale]
    module.regularization_losses = [penalty]
    tf.saved_model.save(module, str(path))


def write_frozen(path):
    """A module without trainable variables."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, 6))])
    def call(x):
        return 2.0 * x

    module.__call__ = call
    tf.saved_model.save(module, str(path))


def write_signatures(path):
    """Signatures only, one of two inputs and outputs; variables are not declared."""
    module = tf.Module()
    module.w = tf.Variable(tf.ones((6, 2)), name="w")

    @tf.function(input_signature=[tf.TensorSpec((None, 6), name="x")])
    def serve(x):
        return {"y": tf.matmul(x, module.w)}

    two = [tf.TensorSpec((None, 6), name=name) for name in ("a", "b")]

    @tf.function(input_signature=two)
    def both(a, b):
        return {"sum": tf.matmul(a + b, module.w), "difference": a - b}

    signatures = {"serving_default": serve, "both": both}
    tf.saved_model.save(module, str(path), signatures=signatures)


def write_tensorflow_1(path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 6), name="x")
        w = v1.get_variable("w", (6, 2))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": tf.matmul(x, w)})
