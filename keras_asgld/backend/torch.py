"""PyTorch: nothing is compiled, each operation is a pass over memory.

So variables are brought to one size that stays in a processor's cache: small ones are
put together, large ones are updated in parts, which are views of them.
"""

import contextlib
import functools

import keras
import torch
from keras import ops

PACKS_ALL = True


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


def without_gradients(function):
    return torch.no_grad()(function)


def computed_once(update, make, state):
    return make()


def slices(vectors, begins, sizes, update):
    ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    cuts = [cut for pair in zip(begins, ends, strict=True) for cut in pair]
    return [ops.split(vector, cuts)[1::2] for vector in vectors]


def rows(table, numbers, update):
    found = ops.unstack(table)
    return [found[number] for number in numbers]


def bitcast(x, dtype):
    return ops.view(x, dtype)


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


def may_cut(variable):
    # A program that PyTorch compiles may not write into a part of its argument.
    if not may_pack() or torch.compiler.is_compiling():
        return False
    # A GPU has the bandwidth, and to start an operation costs it more.
    value = variable.value
    return value.device.type == "cpu" and value.is_contiguous()
