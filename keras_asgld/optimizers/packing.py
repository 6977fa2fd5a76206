"""Variables as the rows of matrices of a size that suits the backend.

Half of a network's variables are vectors of a few hundred numbers. A program for
each costs more to compile and to start than to run; copies into one matrix and back
cost little as long as they fit into a processor's cache. PyTorch compiles nothing: to
it an update is eighty passes over memory, and a large variable is done in pieces that
stay in the cache.
"""

import functools
import math

import keras
import numpy as np
from keras import ops

from keras_asgld.optimizers.slices import slices

_WIDTH = 128
# Elements of a matrix: with the gradient and two slots, two megabytes.
_BUDGET = 2**17
# The copies may take a twentieth of the memory that a step takes anyway, or 64 kB.
_SHARE = 20
_ALWAYS = 2**12


def choose(shapes, kinds):
    """Which variables to update together: the smallest, as many as the budget takes.

    On PyTorch there are as many such groups as it takes, and what is left over is
    larger than the budget or the only one of its kind.

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
    on_torch = keras.backend.backend() == "torch"
    kindred = {}
    for position, kind in enumerate(kinds):
        kindred.setdefault(kind, []).append(position)
    chosen = []
    for positions in kindred.values():
        budget = _BUDGET
        if not on_torch:
            size = sum(math.prod(shapes[i]) for i in positions)
            budget = min(_BUDGET, max(size // _SHARE, _ALWAYS))
        group, size = [], 0
        groups = [group]
        for position in sorted(positions, key=lambda i: math.prod(shapes[i])):
            added = _row_count(shapes[position]) * _WIDTH
            if size + added > budget:
                if added > budget or not on_torch:
                    break
                group, size = [], 0
                groups.append(group)
            group.append(position)
            size += added
        chosen += groups
    return [positions for positions in chosen if len(positions) > 1]


def pieces(variable):
    """A variable in pieces, or an empty list where it is better updated whole.

    Args:
        variable: A `keras.Variable`.

    Returns:
        A list of `Piece`.
    """
    size = math.prod(variable.shape)
    if keras.backend.backend() != "torch" or not _may_pack():
        return []
    if not _BUDGET < size <= 2**32:
        return []
    import torch

    # A program that PyTorch compiles may not write into a part of its argument.
    if torch.compiler.is_compiling():
        return []
    value = variable.value
    # A GPU has the bandwidth, and each operation costs it more to start.
    if value.device.type != "cpu" or not value.is_contiguous():
        return []
    begins = range(0, size, _BUDGET)
    return [Piece(variable, n, min(n + _BUDGET, size)) for n in begins]


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
        zeros = functools.cache(lambda size, dtype: ops.zeros((size,), dtype))
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor = ops.convert_to_tensor(tensor, sparse=False)
            parts.append(_reshaped(tensor, (math.prod(shape),)))
            if _padding(shape):
                parts.append(zeros(_padding(shape), tensor.dtype))
        matrix = ops.reshape(ops.concatenate(parts), (len(self.rows), _WIDTH))
        # PyTorch would otherwise record what is done to its parameters.
        on_torch = keras.backend.backend() == "torch"
        return matrix.detach() if on_torch else matrix

    def assign(self, targets, matrices, update, assign):
        """Gives the members and their slots their new values.

        Args:
            targets: For each member the variables to assign to.
            matrices: As many, each what `pack` makes of the new values.
            update: The update count, an int32 scalar.
            assign: A function of a variable and its new value.
        """
        for each, tensors in zip(
            zip(*targets, strict=True), self.unpack(matrices, update), strict=True
        ):
            for target, tensor in zip(each, tensors, strict=True):
                assign(target, tensor)

    def unpack(self, matrices, update):
        """For each matrix the tensors of which `pack` makes it; `update` is its count.

        Returns:
            A list for each matrix of a list with a tensor for each member.
        """
        sizes = [math.prod(shape) for shape in self._shapes]
        rows = [_row_count(shape) for shape in self._shapes]
        begins = [_WIDTH * sum(rows[:i]) for i in range(len(rows))]
        vectors = [ops.reshape(matrix, (-1,)) for matrix in matrices]
        parts = slices(vectors, begins, sizes, update)
        return [
            [_reshaped(*each) for each in zip(tensors, self._shapes, strict=True)]
            for tensors in parts
        ]


class Piece:
    """The elements from `begin` to `end` of one variable, as a matrix of one row.

    It takes the place of a `Packed`, on PyTorch only.
    """

    rows = np.zeros(1, int)

    def __init__(self, variable, begin, end):
        self.members = [variable]
        self.dtype = variable.dtype
        self.starts = np.array([begin - 2**32 if begin >= 2**31 else begin], "int32")
        self._place = slice(begin, end)

    def pack(self, tensors):
        """The part of the variable's value, gradient or slot, where possible a view."""
        [tensor] = tensors
        tensor = ops.convert_to_tensor(tensor, sparse=False)
        return tensor.detach().reshape(-1)[None, self._place]

    def assign(self, targets, matrices, update, assign):
        """As `Packed.assign`, but in place, with no need of the last two."""
        [own] = targets
        for target, matrix in zip(own, matrices, strict=True):
            target.value.detach().view(-1)[self._place] = matrix[0]


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
