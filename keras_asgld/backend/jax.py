"""JAX: jitted functions; the step around them is one already."""

import contextlib
import functools

import jax
import keras
import numpy as np
from keras import ops

from keras_asgld import config
from keras_asgld.backend import fused, matrix
from keras_asgld.backend.fused import (  # noqa: F401
    assign,
    counted,
    cut,
    dense,
    elementwise,
    joined,
    polynomial,
    taken,
)

PACKS_ALL = False


def compiled(function, *static):
    if not config.is_compilation_enabled():
        return functools.partial(function, *static)
    return _jitted(function, *static)


@functools.cache
def _jitted(function, *static):
    return jax.jit(functools.partial(function, *static))


def compiled_update(function, *static):
    program = compiled(function, *static)

    def update(variables, *tensors):
        values = [ops.convert_to_tensor(variable) for variable in variables]
        for variable, value in zip(variables, program(values, *tensors), strict=True):
            variable.assign(value)

    return update


def in_one_call(function):
    return function


def without_gradients(function):
    return function


def computed_once(update, make, state):
    # XLA would compute noise and rule again for every variable that is unpacked. The
    # condition is always true, but XLA cannot know.
    return ops.cond(ops.bitwise_or(update, 1) != 0, make, lambda: state)


def slices(matrices, shapes, width, update):
    _, begins, sizes = matrix.spans(shapes, width)
    begins = _unknown(begins, update)
    return [
        list(map(fused.reshaped, _sliced(matrix, begins, sizes), shapes))
        for matrix in matrices
    ]


def rows(table, numbers, update):
    width = table.shape[1]
    begins = _unknown([width * number for number in numbers], update)
    return _sliced(table, begins, [width] * len(numbers))


def _sliced(matrix, begins, sizes):
    vector = ops.reshape(matrix, (-1,))
    return [
        ops.slice(vector, [begin], [size])
        for begin, size in zip(begins, sizes, strict=True)
    ]


def _unknown(numbers, update):
    """The numbers, of which the compiler does not know that they are constants.

    XLA on a CPU compiles loops that are alike once, and loops that read at places of
    their own are alike only as long as these are no constants of the program. So they
    go through a choice that always falls on the same side.
    """
    # Unsigned, or JAX would check of each whether it counts from the end.
    numbers = [np.uint32(number) for number in numbers]
    if jax.default_backend() != "cpu":
        return numbers
    return ops.cond((update | 1) != 0, lambda: numbers, lambda: numbers[::-1])


def bitcast(x, dtype):
    return jax.lax.bitcast_convert_type(x, dtype)


def not_folded(index, key):
    return index


def shape_of(tensor):
    return tuple(tensor.shape)


def colocated(optimizer, variable):
    return contextlib.nullcontext()


def is_partitioned():
    # On a single CPU none does; anywhere else a user may have split them.
    return keras.distribution.list_devices() != ["cpu:0"]


def is_replicated():
    return False


def may_pack():
    # Off the CPU the compiler itself puts small loops together.
    return jax.default_backend() == "cpu" and keras.distribution.distribution() is None


def budget(in_cache):
    return in_cache


def may_cut(variable):
    return False


def layout(variables):
    return may_pack()
