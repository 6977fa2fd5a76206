"""One step: the variables in groups, and for each group gather, noise, rule, scatter.

A group is one variable, several small ones packed into a matrix, or a part of a large
one. Whatever it is, its rule is given tensors of one shape.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_asgld import backend, noise, rules
from keras_asgld.optimizers import exclusion, packing

DTYPES = ("float16", "bfloat16", "float32", "float64")


class Kind(NamedTuple):
    """What the variables of one group have in common.

    Attributes:
        rule: The update rule.
        dtype: Their dtype.
        noisy: Whether noise moves them.
        has_prior: Whether a Gaussian prior pulls at them.
        has_mean: Whether that is about a mean, the last of their state, not zero.
    """

    rule: Callable
    dtype: str
    noisy: bool
    has_prior: bool = False
    has_mean: bool = False


class Target(NamedTuple):
    """A variable to be moved: what its step assigns to, and whose noise it has."""

    kind: Kind
    index: int  # of the variable among those that the optimizer was built with
    state: list  # the variable, its slots and, where it has one, its prior's mean


@backend.without_gradients
def take(optimizer, gradients, variables, learning_rate):
    """Moves variables and their slots by one step of the optimizer's rule.

    Args:
        optimizer: A `LangevinOptimizer` that is built.
        gradients: A list of gradients, none of them `None`.
        variables: A list of as many variables that it was built with.
        learning_rate: A scalar.
    """
    numbers = [
        *optimizer.numbers(learning_rate),
        *optimizer.network_numbers(gradients, variables),
    ]
    update = ops.cast(optimizer.iterations, "int32")
    gradients = [ops.convert_to_tensor(each, sparse=False) for each in gradients]
    groups = optimizer.groups(variables)

    @functools.cache
    def numbers_of(dtype):
        # Not `cast`, which would make a Python number float32 first.
        return tuple(ops.convert_to_tensor(number, dtype) for number in numbers)

    for group, key in zip(groups, _keys(optimizer, update, groups), strict=True):
        own = numbers_of(slot_dtype(group.kind.dtype))
        if group.kind.has_prior:
            own = (*own, _precision(optimizer, group))
        group.move([gradients[place] for place in group.places], key, update, own)


def _precision(optimizer, group):
    """That of the group's prior, of a matrix one for each row."""
    precision = optimizer.prior_precisions[group.rows]
    if precision.ndim:
        precision = precision[:, None]
    return ops.convert_to_tensor(precision, slot_dtype(group.kind.dtype))


def grouped(targets):
    """Groups that hold every target once, a large one in parts where that is faster."""
    shapes = [tuple(target.state[0].shape) for target in targets]
    kinds = [target.kind for target in targets]
    packed = [Packed(targets, places) for places in packing.choose(shapes, kinds)]
    places = {place for group in packed for place in group.places}
    groups = []
    for place, target in enumerate(targets):
        if place not in places:
            parts = packing.parts(target.state[0])
            groups += [Part(target, place, *part) for part in parts]
            groups += [] if parts else [Whole(target, place)]
    # The longest first, for a graph whose operations run side by side.
    return groups + packed


def _keys(optimizer, update, groups):
    """For each group the noise's keys at this update, computed for all groups together.

    A variable that is updated whole is given its own key, not the table of keys and an
    index: XLA would take the index for a constant and compile one program for each
    variable instead of one for each shape.
    """
    words = ops.convert_to_tensor(optimizer.noise_words)
    halves = noise.noise_key((words[:, 0], words[:, 1]), optimizer.iterations)
    indices = [group.rows for group in groups if isinstance(group, Whole)]
    whole = iter(backend.rows(ops.stack(halves, axis=1), indices, update))
    matrices = [group.rows for group in groups if not isinstance(group, Whole)]
    pieces = iter(zip(*[_taken(half, matrices) for half in halves], strict=True))
    for group in groups:
        yield next(whole if isinstance(group, Whole) else pieces)


def _taken(table, numbers):
    """For each array of numbers what the table holds there."""
    if len(numbers) < 2:
        return [ops.take(table, each) for each in numbers]
    ends = np.cumsum([len(each) for each in numbers])
    return ops.split(ops.take(table, np.concatenate(numbers)), ends[:-1].tolist())


class Whole:
    """One variable as it is. Nothing is gathered: its program reads and assigns."""

    def __init__(self, target, place):
        self.kind, self.rows, self.state = target
        self.places = [place]

    def move(self, gradients, key, update, numbers):
        program = backend.compiled_update(_new_whole, self.kind)
        program(self.state, *gradients, key, numbers)


class _Matrix:
    """A group whose rows are pieces of variables.

    Attributes:
        kind: The `Kind` of its variables.
        places: Their places among the step's variables.
        rows: For each row, the index of its variable in the optimizer.
        starts: For each row, the flat index of the element it begins with.
        states: For each variable, what is assigned to.
    """

    def move(self, gradients, key, update, numbers):
        state = [self.gather(tensors) for tensors in zip(*self.states, strict=True)]
        program = backend.compiled(_new_matrices, self.kind)
        starts = ops.convert_to_tensor(self.starts)
        new = program(state, self.gather(gradients), key, starts, update, numbers)
        self.scatter(new, update)


class Packed(_Matrix):
    """Small variables in the rows of one matrix; each begins a new row."""

    def __init__(self, targets, places):
        targets = [targets[place] for place in places]
        self.kind, self.places = targets[0].kind, places
        self.states = [target.state for target in targets]
        self._shapes = [tuple(target.state[0].shape) for target in targets]
        self._counts = [packing.row_count(shape) for shape in self._shapes]
        self.rows = np.repeat([target.index for target in targets], self._counts)
        ends = [n * packing.WIDTH for n in self._counts]
        starts = [np.arange(0, end, packing.WIDTH, dtype="int32") for end in ends]
        self.starts = np.concatenate(starts)

    def gather(self, tensors):
        """One matrix of the variables' values, gradients or slots."""
        sizes = [math.prod(shape) for shape in self._shapes]
        return backend.joined(tensors, sizes, packing.WIDTH)

    def scatter(self, matrices, update):
        """Assigns what `gather` would have made the matrices of."""
        sizes = [math.prod(shape) for shape in self._shapes]
        begins = [packing.WIDTH * sum(self._counts[:i]) for i in range(len(sizes))]
        vectors = [ops.reshape(matrix, (-1,)) for matrix in matrices]
        columns = zip(*self.states, strict=True)
        for targets, tensors in zip(
            columns, backend.slices(vectors, begins, sizes, update), strict=True
        ):
            values = zip(tensors, self._shapes, strict=True)
            backend.assign(targets, [backend.reshaped(*value) for value in values])


class Part(_Matrix):
    """The elements from `begin` to `end` of one variable, as a matrix of one row.

    What it gathers are views, and it scatters into these: only PyTorch has such groups.
    """

    def __init__(self, target, place, begin, end):
        self.kind, self.places = target.kind, [place]
        self.states = [target.state]
        self.rows = np.array([target.index])
        # Counted modulo 2**32, in a signed integer.
        self.starts = np.array([begin], "uint32").view("int32")
        self._elements = slice(begin, end)

    def gather(self, tensors):
        [tensor] = tensors
        value = tensor.value if isinstance(tensor, keras.Variable) else tensor
        return value.reshape(-1)[None, self._elements]

    def scatter(self, matrices, update):
        for target, matrix in zip(*self.states, matrices, strict=True):
            view = self.gather([target])
            # Most rules have written there already.
            if view.data_ptr() != matrix.data_ptr():
                view[:] = matrix


def _new_whole(kind, state, gradient, key, numbers):
    """The pure function that is compiled: the new values of a variable and slots."""
    draw = lambda shape: noise.normal(ops.unstack(key), shape)  # noqa: E731
    return _new_state(kind, draw, state, gradient, numbers)


def _new_matrices(kind, state, gradient, key, starts, update, numbers):
    """The same for variables whose pieces are the rows of matrices."""
    draw = lambda shape: noise.normal_rows(key, starts, shape[1])  # noqa: E731
    return backend.computed_once(
        update, lambda: _new_state(kind, draw, state, gradient, numbers), state
    )


def _new_state(kind, draw, state, gradient, numbers):
    variable, *slots = state
    means = [slots.pop()] if kind.has_mean else []
    dtype = slot_dtype(kind.dtype)
    shape = backend.shape_of(variable)
    z = draw(shape) if kind.noisy else ops.zeros(shape)
    gradient, value = ops.cast(gradient, dtype), ops.cast(variable, dtype)
    if kind.has_prior:
        *numbers, precision = numbers
        gradient = rules.with_prior(gradient, value, precision, *means)
    new_variable, *new_slots = backend.moved(
        kind.rule,
        gradient,
        [value, *slots],
        ops.cast(z, dtype),
        numbers,
    )
    return [ops.cast(new_variable, variable.dtype), *new_slots, *means]


def slot_dtype(dtype):
    """The dtype of the slots and of the arithmetic, for a variable's dtype."""
    dtype = keras.backend.standardize_dtype(dtype)
    return dtype if dtype == "float64" else "float32"


def check_dtype(variable):
    """Raises `ValueError` unless noise can be added to a variable of that dtype."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dtype not in DTYPES:
        raise ValueError(
            f"The variables must be of a dtype in {', '.join(DTYPES)}. "
            f"Received: {exclusion.path(variable)!r} of dtype {dtype}"
        )
