"""Arithmetic for compilers, which keep what is between two operations in registers."""

import functools

from keras import ops


def counted(starts, width, step):
    return (starts + ops.arange(width, dtype="int32")[None]) * step


def joined(tensors, sizes, width):
    parts = []
    zeros = functools.cache(lambda size, dtype: ops.zeros((size,), dtype))
    for tensor, size in zip(tensors, sizes, strict=True):
        tensor = ops.convert_to_tensor(tensor)
        parts.append(reshaped(tensor, (size,)))
        if padding := -size % width:
            parts.append(zeros(padding, tensor.dtype))
    rows = sum(-(-size // width) for size in sizes)
    return ops.reshape(ops.concatenate(parts), (rows, width))


def reshaped(tensor, shape):
    # Most small variables are vectors already, and to trace hundreds of operations that
    # do nothing would be a good part of the first call. A sparse gradient that was made
    # dense may not know its length.
    return tensor if tuple(tensor.shape) == shape else ops.reshape(tensor, shape)


def assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def moved(rule, gradient, state, z, numbers):
    return rule(gradient, *state, z, *numbers)


def polynomial(x, coefficients):
    # Two short chains of multiplications and additions instead of a long one, whose
    # latency would be the larger part of the cost of the noise.
    square = x * x
    odd = x * _horner(square, coefficients[1::2])
    return _horner(square, coefficients[::2]) + odd


def _horner(x, coefficients):
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
