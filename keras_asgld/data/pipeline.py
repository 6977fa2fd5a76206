"""Pipelines whose batches are a function of (seed, epoch, position)."""

import dataclasses
import math
import numbers

import tensorflow as tf

from keras_asgld.data.preprocessing import Preprocessing
from keras_asgld.data.source import Examples


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set ready to train and to judge a network; made by `load`.

    Every pipeline yields batches `(pictures, labels)`: float32
    `[n, height, width, channels]`, normalised, and int32 `[n]`. The pictures are kept
    decoded in memory as bytes; cutting, mirroring and normalising them runs in parallel
    and ahead of the training step.

    The order of training epoch `e` and each example's crop and mirror in it are a pure
    function of (`seed`, `e`, example). Nothing is carried from epoch to epoch, so a
    pipeline that starts at epoch `k` gives the very batches of one that came there from
    epoch 0.

    The last batch of an epoch holds what is left, `train_size % batch_size` examples:
    each example is seen once an epoch, as in the paper's protocol. A compiled training
    step therefore meets two batch sizes (and XLA compiles it twice).

    `dataclasses.replace(data, seed=1)` gives the same data in another order, without
    reading them again.

    Attributes:
        name: The data set's name.
        num_classes: Number of labels, which run from 0.
        batch_size: Examples in a batch.
        seed: Non-negative integer below 2**63; see above.
        preprocessing: What happens to a picture on its way into a batch.
    """

    name: str
    num_classes: int
    batch_size: int
    seed: int
    preprocessing: Preprocessing
    train_examples: Examples = dataclasses.field(repr=False)
    validation_examples: Examples = dataclasses.field(repr=False)
    test_examples: Examples = dataclasses.field(repr=False)

    @property
    def input_shape(self):
        """Height, width and channels of a picture in a batch."""
        size = self.preprocessing.size
        return (size, size, self.train_examples.pictures.shape[-1])

    @property
    def train_size(self):
        return len(self.train_examples.labels)

    @property
    def validation_size(self):
        return len(self.validation_examples.labels)

    @property
    def test_size(self):
        return len(self.test_examples.labels)

    @property
    def steps_per_epoch(self):
        """Batches in a training epoch, the last, smaller one included."""
        return math.ceil(self.train_size / self.batch_size)

    def train(self, initial_epoch=0):
        """Returns an endless pipeline of training batches, from an epoch on.

        Use it with `fit(data.train(k), initial_epoch=k, epochs=…, shuffle=False,
        steps_per_epoch=data.steps_per_epoch)`.

        Args:
            initial_epoch: Non-negative integer, the epoch of the first batch.
        """
        if isinstance(initial_epoch, bool) or not (
            isinstance(initial_epoch, numbers.Integral) and initial_epoch >= 0
        ):
            raise ValueError(
                "Argument `initial_epoch` must be a non-negative integer. "
                f"Received: initial_epoch={initial_epoch!r}"
            )
        pictures, labels = _on_cpu(self.train_examples)

        def batch(indices, draws):
            chosen = self.preprocessing.augment(tf.gather(pictures, indices), draws)
            return self.preprocessing.normalise(chosen), tf.gather(labels, indices)

        return (
            tf.data.Dataset.range(initial_epoch, tf.int64.max)
            .flat_map(self._plan)
            .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .apply(
                tf.data.experimental.assert_cardinality(
                    tf.data.experimental.INFINITE_CARDINALITY
                )
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def validation(self):
        """Returns the validation batches in a fixed order, `None` if there are none."""
        return self._once(self.validation_examples) if self.validation_size else None

    def test(self):
        """Returns the test batches in a fixed order."""
        return self._once(self.test_examples)

    def _plan(self, epoch):
        """Returns an epoch's batches of example indices and of their crops."""
        order_seed, draw_seed = tf.unstack(tf.random.split([self.seed, epoch], 2))
        order = tf.random.experimental.stateless_shuffle(
            tf.range(self.train_size), order_seed
        )
        draws = self.preprocessing.draw(self.train_size, draw_seed)
        plan = tf.data.Dataset.from_tensor_slices((order, draws))
        return plan.batch(self.batch_size)

    def _once(self, examples):
        def batch(pictures, labels):
            return self.preprocessing.normalise(pictures), labels

        return (
            tf.data.Dataset.from_tensor_slices(_on_cpu(examples))
            .batch(self.batch_size)
            .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )


def _on_cpu(examples):
    # Left to itself TensorFlow would put the whole data set on the accelerator.
    with tf.device("CPU"):
        return tf.constant(examples.pictures), tf.constant(examples.labels)
