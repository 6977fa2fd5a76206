"""The noise's keys of an optimizer's variables, computed together once a step."""

from keras import ops

from keras_asgld import noise
from keras_asgld.optimizers.slices import rows


class Keys:
    """The keys of all variables at one update.

    A variable that is updated alone is given its own key, not the table with its
    position: XLA would take the position for a constant and compile one program a
    variable instead of one a shape.

    Args:
        words: The table of `noise.noise_words`, an int32 tensor.
        update: The update count, an int32 scalar.
        alone: The positions of variables whose keys are wanted one by one.
    """

    def __init__(self, words, update, alone):
        self._halves = noise.noise_key((words[:, 0], words[:, 1]), update)
        keys = rows(ops.stack(self._halves, axis=1), alone, update)
        self._keys = dict(zip(alone, keys, strict=True))

    def of(self, position):
        """The key of one variable that was named, int32 of (2,)."""
        return self._keys[position]

    def of_all(self, positions):
        """The keys of any variables as two int32 of (len(positions),)."""
        return [ops.take(half, positions) for half in self._halves]
