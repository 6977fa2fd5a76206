"""Pipelines whose batches are a function of (seed, epoch, position)."""

import dataclasses
import math

import keras
from keras import ops

from keras_asgld.checks import check_integer
from keras_asgld.data.preprocessing import AsStored, Preprocessing
from keras_asgld.data.source import Examples


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set ready for training and evaluation, as `load` makes it.

    Every pipeline yields batches `(inputs, labels)`: of pictures float32
    `[n, height, width, channels]`, normalised, and int32 `[n]`; of a table float32
    `[n, columns]` and its numbers, float32 `[n, outputs]`, or classes; of texts int32
    `[n, tokens]` and classes; of speech float32 `[n, moments, bands, 1]` and classes.
    Pictures are kept decoded as bytes. On the TensorFlow backend they stay in memory
    and a tf.data pipeline cuts, mirrors and normalises them in parallel and ahead of
    the training step. On JAX and PyTorch, where TensorFlow need not be installed, they
    lie on the device and a batch is made there; the pipeline is a
    `keras.utils.PyDataset`. The batches of a seed are the same on all three, up to the
    rounding of the last division.

    The order of training epoch `e` and each example's crop and mirror in it are a pure
    function of (`seed`, `e`, example). Nothing is carried from epoch to epoch, so a
    pipeline that starts at epoch `k` gives exactly the batches of one that got there
    from epoch 0.

    The last batch of an epoch holds what is left, `train_size % batch_size` examples:
    each example is seen once an epoch, as in the paper's protocol. A compiled training
    step therefore meets two batch sizes (and XLA compiles it twice).

    `dataclasses.replace(data, seed=1)` gives the same data in another order, without
    reading them again.

    Attributes:
        name: The data set's name.
        num_classes: Number of labels, which run from 0; `None` where they are numbers.
        batch_size: Examples in a batch.
        seed: Non-negative integer below 2**63; see above.
        preprocessing: What happens to an input on its way into a batch.
        before: Of a data set for fine-tuning: the `Data` that a network is trained on
            before; else `None`.
    """

    name: str
    num_classes: int | None
    batch_size: int
    seed: int
    preprocessing: Preprocessing | AsStored
    train_examples: Examples = dataclasses.field(repr=False)
    validation_examples: Examples = dataclasses.field(repr=False)
    test_examples: Examples = dataclasses.field(repr=False)
    before: "Data | None" = dataclasses.field(default=None, repr=False)

    @property
    def input_shape(self):
        """The shape of one input in a batch: of a picture height, width, channels."""
        shape = self.train_examples.inputs.shape[1:]
        if isinstance(self.preprocessing, Preprocessing):
            size = self.preprocessing.size
            shape = size, size, shape[-1]
        return tuple(shape)

    @property
    def outputs(self):
        """The number of a network's outputs: the classes, or numbers."""
        return self.num_classes or self.train_examples.labels.shape[-1]

    @property
    def normalised_by(self):
        """Mean and standard deviation of pictures, for networks that want them back."""
        if not isinstance(self.preprocessing, Preprocessing):
            return {}
        return {"mean": self.preprocessing.mean, "std": self.preprocessing.std}

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

    def plain(self, count):
        """Returns the first training inputs as a batch has them, but as they stand.

        Args:
            count: Positive integer, how many at most.

        Returns:
            A NumPy array; pictures in it are neither cut nor mirrored.
        """
        inputs = self.train_examples.inputs[:count]
        return ops.convert_to_numpy(self.preprocessing.normalise(inputs))

    def train(self, initial_epoch=0):
        """Returns an endless pipeline of training batches, from an epoch on.

        Use it with `fit(data.train(k), initial_epoch=k, epochs=…, shuffle=False,
        steps_per_epoch=data.steps_per_epoch)`.

        Args:
            initial_epoch: Non-negative integer, the epoch of the first batch.
        """
        check_integer("initial_epoch", initial_epoch, 0, 2**63 - 1)
        return _batches().training(self, int(initial_epoch))

    def validation(self):
        """Returns the validation batches in a fixed order, `None` if there are none."""
        if not self.validation_size:
            return None
        return _batches().once(self, self.validation_examples)

    def test(self):
        """Returns the test batches in a fixed order."""
        return _batches().once(self, self.test_examples)


def _batches():
    """The module that makes the batches; only that of the backend in use is loaded."""
    if keras.backend.backend() == "tensorflow":
        from keras_asgld.data import streams

        return streams
    from keras_asgld.data import arrays

    return arrays
