"""PyTorch: nothing is compiled, each operation is a pass over memory.

So variables are brought to one size that stays in a processor's cache: small ones are
put together, large ones are updated in parts, which are views of them.
"""

import contextlib
import functools

import keras
import numpy as np
import torch
from keras import ops

from keras_asgld.backend import in_place, kept

PACKS_ALL = True

_programs = {}


def compiled(function, *static):
    return functools.partial(function, *static)


def compiled_update(function, *static):
    def update(variables, *tensors):
        # It writes over the values.
        function(*static, [variable.value for variable in variables], *tensors)

    return update


def in_one_call(function):
    return function


def elementwise(function, *static):
    def update(state, others, spare, numbers):
        program = _program(function, static, state, others, spare, numbers)
        if program:
            program([*state, *others, *spare], numbers)
        else:
            new = function(*static, state, others, spare, numbers)
            # Copies, since what is new may be another tensor's old value.
            torch._foreach_copy_(state, [value.clone() for value in new])
        return state

    return update


def _program(function, static, state, others, spare, numbers):
    """The function's program for tensors of these types, or `None` if it has none."""
    tensors = *state, *others, *spare
    shape = state[0].shape
    types = [(x.dtype, x.device, x.shape == shape) for x in tensors]
    key = function, static, len(state), len(spare), *types, *[x.dtype for x in numbers]
    if key not in _programs:
        _programs[key] = in_place.program(
            functools.partial(function, *static), state, others, spare, numbers
        )
    return _programs[key]


def without_gradients(function):
    # A program that PyTorch compiles may not write into parts of its arguments.
    return torch.compiler.disable(torch.no_grad()(function))


def computed_once(update, make, state):
    return make()


def joined(tensors, shapes, width, column):
    values = [x.value if isinstance(x, keras.Variable) else x for x in tensors]
    matrix, parts = kept.joining(shapes, width, column, values[0])
    matrix.zero_()
    torch._foreach_copy_(parts, values)
    return matrix


def slices(matrices, shapes, width, update):
    return [
        kept.parts(matrix, shapes, width, column)
        for column, matrix in enumerate(matrices)
    ]


@torch.no_grad()
def assign(variables, values):
    # All in one call, which on a GPU starts few operations.
    torch._foreach_copy_([variable.value for variable in variables], values)


def dense(gradient):
    # Keras's `convert_to_tensor` takes longer than many an operation.
    is_tensor = isinstance(gradient, torch.Tensor)
    return gradient if is_tensor else ops.convert_to_tensor(gradient)


def taken(table, numbers):
    if not numbers:
        return []
    places = torch.from_numpy(np.concatenate(numbers)).to(table.device)
    return table[places].split([len(each) for each in numbers])


def rows(table, numbers, update):
    found = ops.unstack(table)
    return [found[number] for number in numbers]


def bitcast(x, dtype):
    return x.view(getattr(torch, dtype))


def counted(starts, width, step):
    # The table is of a size that many widths share.
    table = _multiples(1 << width.bit_length(), step, starts.device)
    return torch.add(table[:width], starts, alpha=step)


def cut(tensor, size):
    value = tensor.value if isinstance(tensor, keras.Variable) else tensor
    return value.reshape(1, -1).split(size, 1)


@functools.lru_cache(32)
def _multiples(size, step, device):
    return torch.arange(size, dtype=torch.int32, device=device) * step


def polynomial(x, coefficients):
    # One pass over memory for each coefficient. Not two numbers at first for `addcmul`,
    # which would make five times as long a pass of it.
    *others, last = coefficients
    *others, before = [_scalar(each, x.dtype, x.device) for each in others]
    value = torch.add(before, x, alpha=last)
    for coefficient in reversed(others):
        value = torch.addcmul(coefficient, value, x)
    return value


@functools.cache
def _scalar(number, dtype, device):
    return torch.tensor(number, dtype=dtype, device=device)


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
