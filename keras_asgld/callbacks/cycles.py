"""Where the cycles of a learning rate end."""

import functools

import keras

from keras_asgld import backend
from keras_asgld.callbacks.steps import inner_optimizer


class Cycles:
    """The cycles of the schedule that is a compiled model's learning rate.

    A cycle's last step is the one before the rate rises again.

    Raises:
        ValueError: If the learning rate is no schedule.
    """

    def __init__(self, model):
        optimizer = inner_optimizer(model.optimizer)
        rate = getattr(optimizer, "_learning_rate", None)
        if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                '`unit="cycle"` needs a learning rate that is a schedule. '
                f"Received: unit='cycle', learning_rate={optimizer.learning_rate!r}"
            )
        self._rate = _reader(rate, compiled=not model.run_eagerly)
        self._counted, self._ends = range(0), set()

    def end_at(self, step):
        """Whether step number `step` (from 1) is the last of a cycle."""
        if step < 2:
            return False
        if step in self._counted:
            return step in self._ends
        before, last, after = (self._rate(step + i) for i in (-2, -1, 0))
        return before >= last < after

    def until(self, first, last, most=None):
        """How many end at the steps from `first` to `last`, counted up to `most`.

        They are remembered, so that the rate of those steps is not read once more.
        """
        ends, step = set(), first - 1
        while step < last and len(ends) != most:
            step += 1
            if self.end_at(step):
                ends.add(step)
        self._counted, self._ends = range(first, step + 1), ends
        return len(ends)


def _reader(schedule, compiled):
    """A function from a step to the learning rate, which remembers the last ones.

    Compiled, the schedule is traced once; JAX would compile the conditions in it anew
    at each call.
    """
    rate = backend.compiled(schedule) if compiled else schedule

    @functools.lru_cache(4)
    def read(step):
        return float(rate(keras.ops.convert_to_tensor(step, "int32")))

    return read
