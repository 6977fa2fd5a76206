"""Batches cut from arrays on the device, where there is no tf.data: JAX, PyTorch."""

import functools

import keras
import numpy as np
from keras import ops

from keras_asgld import backend
from keras_asgld.data.plan import plan


def training(data, initial_epoch):
    """Returns an endless sequence of training batches, from an epoch on."""
    return _Training(data, initial_epoch)


def once(data, examples):
    """Returns the batches of the examples in their order."""
    return _Once(data, examples)


class _Batches(keras.utils.PyDataset):
    """Examples that are kept on the device as bytes; one computation makes a batch."""

    def __init__(self, data, examples):
        super().__init__()
        self._batch_size = data.batch_size
        self._count = len(examples.labels)
        self._examples = [ops.convert_to_tensor(part) for part in examples]
        self._cut = backend.compiled(_cut, data.preprocessing)

    @property
    def _steps(self):
        return -(-self._count // self._batch_size)

    def _rows(self, step):
        return slice(step * self._batch_size, (step + 1) * self._batch_size)


class _Training(_Batches):
    num_batches = None  # endless

    def __init__(self, data, initial_epoch):
        super().__init__(data, data.train_examples)
        ways, alternating = data.preprocessing.ways, data.preprocessing.alternating

        @functools.lru_cache(maxsize=1)
        def epoch_plan(epoch):
            epoch += initial_epoch
            return plan(data.seed, epoch, self._count, ways, alternating)

        self._plan = epoch_plan

    def __getitem__(self, index):
        epoch, step = divmod(index, self._steps)
        order, draws = (part[self._rows(step)] for part in self._plan(epoch))
        return self._cut(*self._examples, order, draws)


class _Once(_Batches):
    def __init__(self, data, examples):
        super().__init__(data, examples)
        self._order = np.arange(self._count, dtype=np.int32)

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        if index >= self._steps:  # what ends a `for` loop over a sequence
            raise IndexError(index)
        return self._cut(*self._examples, self._order[self._rows(index)])


def _cut(preprocessing, inputs, labels, indices, draws=None):
    """Makes a batch of all examples and the batch's indices and draws."""
    chosen = ops.take(inputs, indices, axis=0)
    if draws is not None:
        chosen = preprocessing.augment(chosen, draws)
    return preprocessing.normalise(chosen), ops.take(labels, indices, axis=0)
