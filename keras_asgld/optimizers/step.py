"""One step: the variables in groups, and for each group gather, noise, rule, scatter.

A group is one variable, as it is or piece by piece, or several small ones packed into a
matrix. Whatever it is, its rule is given tensors of one shape.
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
    gradients = [backend.dense(gradient) for gradient in gradients]
    groups = optimizer.groups(variables)

    @functools.cache
    def numbers_of(dtype):
        # Not `cast`, which would make a Python number float32 first.
        return tuple(ops.convert_to_tensor(number, dtype) for number in numbers)

    for group, key in zip(groups, _keys(optimizer, update, groups), strict=True):
        group.move(
            [gradients[place] for place in group.places],
            (*key, *_precision(optimizer, group)),
            update,
            numbers_of(slot_dtype(group.kind.dtype)),
        )


def _precision(optimizer, group):
    """That of the group's prior if it has one, of a matrix one for each row."""
    if not group.kind.has_prior:
        return ()
    precision = optimizer.prior_precisions[group.rows]
    return (ops.convert_to_tensor(precision, slot_dtype(group.kind.dtype)),)


def grouped(targets):
    """Groups that hold every target once, a large one in parts where that is faster."""
    shapes = [tuple(target.state[0].shape) for target in targets]
    kinds = [target.kind for target in targets]
    packed = [Packed(targets, places) for places in packing.choose(shapes, kinds)]
    places = {place for group in packed for place in group.places}
    groups = []
    for place, target in enumerate(targets):
        if place not in places:
            # Beyond 2**32 elements a part could not say where it begins.
            size = math.prod(shapes[place])
            cut = 0 < size <= 2**32 and backend.may_cut(target.state[0])
            groups.append(Cut(target, place) if cut else Whole(target, place))
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
    table = ops.stack(halves, axis=1) if indices else None
    whole = iter(backend.rows(table, indices, update) if indices else [])
    matrices = [group.rows for group in groups if not isinstance(group, Whole)]
    pieces = iter(zip(*[backend.taken(half, matrices) for half in halves], strict=True))
    for group in groups:
        yield (next(whole),) if isinstance(group, Whole) else next(pieces)


class Whole:
    """One variable as it is. Nothing is gathered: its program reads and assigns."""

    def __init__(self, target, place):
        self.kind, self.rows, self.state = target
        self.places = [place]

    def move(self, gradients, scalars, update, numbers):
        program = backend.compiled_update(_new_whole, self.kind)
        program(self.state, *gradients, scalars, numbers)


class Packed:
    """Small variables in the rows of one matrix; each begins a new row.

    Attributes:
        kind: The `Kind` of its variables.
        places: Their places among the step's variables.
        rows: For each row, the index of its variable in the optimizer.
        starts: For each row, the flat index of the element it begins with.
        states: For each variable, what is assigned to.
    """

    def __init__(self, targets, places):
        targets = [targets[place] for place in places]
        self.kind, self.places = targets[0].kind, places
        self.states = [target.state for target in targets]
        self._shapes = tuple(tuple(target.state[0].shape) for target in targets)
        counts = [packing.row_count(shape) for shape in self._shapes]
        self.rows = np.repeat([target.index for target in targets], counts)
        ends = [n * packing.WIDTH for n in counts]
        starts = [np.arange(0, end, packing.WIDTH, dtype="int32") for end in ends]
        self.starts = np.concatenate(starts)

    def move(self, gradients, scalars, update, numbers):
        columns = [*zip(*self.states, strict=True), gradients]
        *state, gradient = [self.gather(x, n) for n, x in enumerate(columns)]
        starts = ops.convert_to_tensor(self.starts)
        program = backend.compiled(_new_matrices, self.kind)
        new = program(state, gradient, scalars, starts, update, numbers)
        self.scatter(new, update)

    def gather(self, tensors, column=0):
        """One matrix of the variables' values, gradients or slots."""
        return backend.joined(tensors, self._shapes, packing.WIDTH, column)

    def scatter(self, matrices, update):
        """Assigns what `gather` would have made the matrices of."""
        columns = backend.slices(matrices, self._shapes, packing.WIDTH, update)
        targets = zip(*self.states, strict=True)
        for variables, values in zip(targets, columns, strict=True):
            backend.assign(variables, values)


class Cut:
    """One variable in parts, matrices of one row, which are moved one by one.

    These are views of it, and what moves them writes over them: only PyTorch has such
    groups.
    """

    def __init__(self, target, place):
        self.kind, index, self.state = target
        self.places = [place]
        self.rows = np.array([index])
        begins = wrapped(packing.begins(math.prod(self.state[0].shape)))
        with keras.device("cpu"):
            self._starts = [ops.convert_to_tensor([[begin]]) for begin in begins]

    def move(self, gradients, scalars, update, numbers):
        program = backend.elementwise(_new_state, self.kind, noise.normal_at)
        tensors = [*self.state, *gradients]
        columns = [backend.cut(tensor, packing.BUDGET) for tensor in tensors]
        key, precision = _as_columns(scalars)
        for start, *state, gradient in zip(self._starts, *columns, strict=True):
            places = noise.places(key, start, state[0].shape[1])
            program(state, [gradient, *precision, *key], [places], numbers)


def wrapped(begins):
    """Places of elements as the noise counts them: modulo 2**32, in signed integers."""
    return np.array(begins, "uint32").view("int32")


def _new_whole(kind, state, gradient, scalars, numbers):
    """The pure function that is compiled: the new values of a variable and slots."""
    key, *precision = scalars
    bits = []
    if kind.noisy:
        bits = [noise.random_bits(ops.unstack(key), backend.shape_of(state[0]))]
    program = backend.elementwise(_new_state, kind, noise.normal_from_bits)
    return program(state, [gradient, *precision], bits, numbers)


def _new_matrices(kind, state, gradient, scalars, starts, update, numbers):
    """The same for variables whose pieces are the rows of matrices."""
    program = backend.elementwise(_new_state, kind, noise.normal_at)

    def make():
        key, precision = _as_columns(scalars)
        places = noise.places(key, starts[:, None], state[0].shape[1])
        return program(state, [gradient, *precision, *key], [places], numbers)

    return backend.computed_once(update, make, state)


def _as_columns(scalars):
    """The key and, if there is one, the precision of each row."""
    columns = [each[:, None] for each in scalars]
    return columns[:2], columns[2:]


def _new_state(kind, draw, state, others, places, numbers):
    """The rule, with noise that `draw` makes of key and places."""
    variable, *slots = state
    gradient, *others = others
    means = [slots.pop()] if kind.has_mean else []
    dtype = slot_dtype(kind.dtype)
    gradient, value = ops.cast(gradient, dtype), ops.cast(variable, dtype)
    if kind.has_prior:
        precision, *others = others
        gradient = rules.with_prior(gradient, value, precision, *means)
    z = draw(*others, *places) if kind.noisy else ops.zeros_like(value)
    z = ops.cast(z, dtype)
    new_variable, *new_slots = kind.rule(gradient, value, *slots, z, *numbers)
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
