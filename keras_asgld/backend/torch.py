"""PyTorch: nothing is compiled, each operation is a pass over memory.

So variables are brought to one size that stays in a processor's cache: small ones are
put together, large ones are updated in parts, which are views of them.
"""

import contextlib
import functools

import keras
import torch
from keras import ops

from keras_asgld.backend import in_place

PACKS_ALL = True

_programs = {}


def compiled(function, *static):
    return functools.partial(function, *static)


def compiled_update(function, *static):
    def update(variables, *tensors):
        values = [ops.convert_to_tensor(variable) for variable in variables]
        new = function(*static, values, *tensors)
        for variable, value in zip(variables, new, strict=True):
            variable.assign(value)

    return update


def in_one_call(function):
    return function


def moved(rule, gradient, state, z, numbers):
    key = rule, *[(x.dtype, x.device) for x in (*state, *numbers)]
    if key not in _programs:
        _programs[key] = in_place.program(rule, state, z, numbers)
    return _programs[key](gradient, *state, z, *numbers)


def without_gradients(function):
    # A program that PyTorch compiles may not write into parts of its arguments.
    return torch.compiler.disable(torch.no_grad()(function))


def computed_once(update, make, state):
    return make()


def joined(tensors, sizes, width):
    # Not `ops`, which looks for symbols in each of its arguments.
    values = [x.value if isinstance(x, keras.Variable) else x for x in tensors]
    zeros = values[0].new_zeros(width - 1)
    parts = []
    for value, size in zip(values, sizes, strict=True):
        parts += [value.reshape(-1), zeros[: -size % width]]
    return torch.cat(parts).view(-1, width)


def slices(vectors, begins, sizes, update):
    pieces = list(zip(begins, sizes, strict=True))
    return [[vector.narrow(0, *piece) for piece in pieces] for vector in vectors]


def reshaped(tensor, shape):
    return tensor.reshape(shape)


@torch.no_grad()
def assign(variables, values):
    # All in one call, which on a GPU starts few operations.
    torch._foreach_copy_([variable.value for variable in variables], values)


def rows(table, numbers, update):
    found = ops.unstack(table)
    return [found[number] for number in numbers]


def bitcast(x, dtype):
    return x.view(getattr(torch, dtype))


def counted(starts, width, step):
    return starts * step + _multiples(width, step, starts.device)


@functools.lru_cache(4)
def _multiples(width, step, device):
    return torch.arange(width, dtype=torch.int32, device=device) * step


def polynomial(x, coefficients):
    # One pass over memory for each coefficient, into one new tensor.
    *others, before, last = _scalars(coefficients, x.dtype, x.device)
    value = torch.addcmul(before, last, x)
    for coefficient in reversed(others):
        torch.addcmul(coefficient, value, x, out=value)
    return value


@functools.cache
def _scalars(numbers, dtype, device):
    return [torch.tensor(number, dtype=dtype, device=device) for number in numbers]


def not_folded(index, key):
    return index


def shape_of(tensor):
    return tuple(tensor.shape)


def colocated(optimizer, variable):
    return contextlib.nullcontext()


def is_partitioned():
    return False


def is_replicated():
    return False


def may_pack():
    return keras.distribution.distribution() is None


def budget(in_cache):
    # A GPU has the bandwidth, and to start an operation costs it more.
    return 2**25 if _is_on_gpu(ops.zeros(())) else in_cache


def may_cut(variable):
    value = variable.value
    return may_pack() and not _is_on_gpu(value) and value.is_contiguous()


def layout(variables):
    return may_pack(), tuple(may_cut(variable) for variable in variables)


def _is_on_gpu(tensor):
    return tensor.device.type != "cpu"
