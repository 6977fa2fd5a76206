"""Training by several workers, since Keras's `fit` does not run under their strategy.

Keras 3.15's `fit` fails there twice: it takes a batch that is spread over workers for
a tensor when it builds the metrics, and reduces their scalars along an axis that they
do not have. This loop does what a run needs of `fit`.
"""

import keras
import tensorflow as tf

from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.tasks import TASKS

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def fit(model, strategy, data, settings, initial_epoch, epochs, callback):
    """Train `model` from `initial_epoch` up to `epochs`, on all workers alike.

    Every worker makes the whole batches of `data.train` and takes its own rows. The
    loss and its gradient are the means over the whole batch, whatever its size; batch
    normalisation knows a replica's own rows, and after each epoch the statistics of all
    replicas are set to their mean, as a resumed run would find them.

    Args:
        model: A compiled model with one loss, built in the scope of `strategy`.
        strategy: A `MultiWorkerMirroredStrategy`.
        data: What `keras_asgld.data.load` returned.
        settings: The run's `Settings`.
        initial_epoch, epochs: As in `fit`.
        callback: A callback that is told of batches and epochs.

    Raises:
        ExperimentError: A batch has fewer examples than there are replicas, the
            workers would begin at different epochs, or one of them is lost.
    """
    replicas = strategy.num_replicas_in_sync
    smallest = (data.train_size % data.batch_size) or data.batch_size
    if smallest < replicas:
        raise ExperimentError(
            f"the last batch of an epoch has {smallest} examples for {replicas} "
            "replicas: choose another --batch_size or --train_size"
        )
    callbacks = keras.callbacks.CallbackList([callback], model=model)
    score = TASKS[settings.dataset].score
    train, judge = _steps(model, strategy, score)
    try:
        _check_same_epoch(strategy, initial_epoch)
        batches = iter(data.train(initial_epoch=initial_epoch))
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch)
            means = _Means(score)
            for step in range(data.steps_per_epoch):
                logs = means.add(train(*next(batches)))
                callbacks.on_train_batch_end(step, logs)
                if model.stop_training:
                    break
            for variable in model.non_trainable_variables:
                variable.assign(variable.numpy())
            judged = _Means(score)
            for batch in getattr(data, settings.judged_on)():
                numbers = judged.add(judge(*batch))
            logs |= {f"val_{name}": value for name, value in numbers.items()}
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    except _LOST as error:
        raise ExperimentError(
            "a worker was lost; the same command in each of them goes on from the last "
            f"finished epoch ({type(error).__name__})"
        ) from error


def _steps(model, strategy, score):
    """Steps that train and judge: from a whole batch to its loss, sums and size."""
    replicas = strategy.num_replicas_in_sync

    def own(values):
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        total = tf.shape(values)[0]
        return values[place * total // replicas : (place + 1) * total // replicas]

    def own_loss(labels, own_labels, outputs):
        # A replica's part of the mean over the whole batch. Keras divides the mean over
        # its own rows by the replicas, which is right where all have equally many.
        parts = replicas * tf.shape(own_labels)[0] / tf.shape(labels)[0]
        loss = tf.cast(parts, "float32") * model.loss(own_labels, outputs)
        return loss + sum(model.losses) / replicas

    def train(inputs, labels):
        mine = own(labels)
        with tf.GradientTape() as tape:
            outputs = model(own(inputs), training=True)
            loss = own_loss(labels, mine, outputs)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        model.optimizer.apply(gradients, model.trainable_weights)  # of their sum
        return loss, score.sums(mine, outputs)

    def judge(inputs, labels):
        mine = own(labels)
        outputs = model(own(inputs), training=False)
        return own_loss(labels, mine, outputs), score.sums(mine, outputs)

    def on_all(function):
        @tf.function
        def step(inputs, labels):
            results = strategy.run(function, args=(inputs, labels))
            loss, sums = (strategy.reduce("SUM", r, axis=None) for r in results)
            return loss, sums, tf.shape(labels)[0]

        return step

    return on_all(train), on_all(judge)


def _check_same_epoch(strategy, epoch):
    @tf.function
    def gather():
        def replica():
            context = tf.distribute.get_replica_context()
            return context.all_gather(tf.constant([epoch]), axis=0)

        return strategy.experimental_local_results(strategy.run(replica))[0]

    epochs = sorted(set(gather().numpy().tolist()))
    if len(epochs) > 1:
        raise ExperimentError(
            f"the workers would go on after different epochs ({epochs}): --out_dir "
            "must be one folder that all of them see"
        )


class _Means:
    """Means over the examples of the batches so far."""

    def __init__(self, score):
        self.score = score
        self.loss = self.sums = self.size = 0.0

    def add(self, results):
        loss, sums, size = (value.numpy().astype("float64") for value in results)
        self.loss += loss * size
        self.sums += sums
        self.size += size
        return {
            "loss": float(self.loss / self.size),
            self.score.metric: float(self.score.of_sums(self.sums)),
        }
