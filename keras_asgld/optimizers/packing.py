"""Small variables as the rows of one matrix, so that one program updates them all.

Half of a network's variables are vectors of a few hundred numbers. A program for
each costs more to compile and to start than to run, and on PyTorch, which compiles
nothing, so do its eighty operations; copies into one matrix and back cost little as
long as they fit into a processor's cache.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_asgld.optimizers.compiled import unknown_to_compiler

_WIDTH = 128
# Elements of a matrix: with the gradient and two slots, one megabyte.
_BUDGET = 2**16


def choose(shapes, kinds):
    """Which variables to update together: the smallest, as many as the budget takes.

    Args:
        shapes: The variables' shapes.
        kinds: Hashable, one a variable. Only variables of one kind are put together.

    Returns:
        A list of lists of positions. It is empty where variables may not be copied
        together because they are mirrored or sharded over devices, and on JAX off
        the CPU, where the compiler itself puts small loops together.
    """
    if not _may_pack():
        return []
    groups = {}
    for position, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(position)
    chosen = []
    for positions in groups.values():
        positions = sorted(positions, key=lambda i: math.prod(shapes[i]))
        ends = np.cumsum([_row_count(shapes[i]) * _WIDTH for i in positions])
        chosen.append(positions[: np.searchsorted(ends, _BUDGET, side="right")])
    return [positions for positions in chosen if len(positions) > 1]


class Packed:
    """Variables of one dtype in the rows of one matrix; each begins a new row.

    Attributes:
        members: The variables.
        dtype: Their dtype.
        rows: For each row, the position of its variable in `members`.
        starts: For each row, the flat index of the element it begins with.
    """

    def __init__(self, members):
        self.members = members
        self.dtype = members[0].dtype
        self._shapes = [tuple(member.shape) for member in members]
        counts = [_row_count(shape) for shape in self._shapes]
        self.rows = np.repeat(np.arange(len(counts)), counts)
        self.starts = np.concatenate(
            [np.arange(0, n * _WIDTH, _WIDTH, dtype="int32") for n in counts]
        )

    def pack(self, tensors):
        """One matrix of the members' values, gradients or slots."""
        parts = []
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor = ops.convert_to_tensor(tensor, sparse=False)
            parts.append(_reshaped(tensor, (math.prod(shape),)))
            if _padding(shape):
                parts.append(ops.zeros((_padding(shape),), tensor.dtype))
        # PyTorch would otherwise record what is done to its parameters.
        matrix = ops.reshape(ops.concatenate(parts), (len(self.rows), _WIDTH))
        return ops.stop_gradient(matrix)

    def unpack(self, matrices, update):
        """For each matrix the tensors of which `pack` makes it; `update` is its count.

        Returns:
            A list for each matrix of a list with a tensor for each member.
        """
        sizes = [math.prod(shape) for shape in self._shapes]
        rows = [_row_count(shape) for shape in self._shapes]
        begins = [_WIDTH * sum(rows[:i]) for i in range(len(rows))]
        vectors = [ops.reshape(matrix, (-1,)) for matrix in matrices]
        if keras.backend.backend() == "jax":
            begins = unknown_to_compiler(begins, update)
            pieces = [
                [
                    ops.slice(vector, [begin], [size])
                    for begin, size in zip(begins, sizes, strict=True)
                ]
                for vector in vectors
            ]
        else:
            # One operation, where those in a plain graph or eager step count.
            ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
            cuts = [cut for pair in zip(begins, ends, strict=True) for cut in pair]
            pieces = [ops.split(vector, cuts)[1::2] for vector in vectors]
        return [
            [_reshaped(*each) for each in zip(tensors, self._shapes, strict=True)]
            for tensors in pieces
        ]


def _may_pack():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.distribute.has_strategy()
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return False
    return keras.distribution.distribution() is None


def _reshaped(tensor, shape):
    # Most small variables are vectors. To trace an operation for nothing, hundreds of
    # times, would be a good part of the first call; a sparse gradient that was made
    # dense may not know its length.
    return tensor if tuple(tensor.shape) == shape else ops.reshape(tensor, shape)


def _row_count(shape):
    return -(-math.prod(shape) // _WIDTH)


def _padding(shape):
    return -math.prod(shape) % _WIDTH
