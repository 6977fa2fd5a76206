"""Arithmetic for compilers, which keep what is between two operations in registers."""

import functools

import numpy as np
from keras import ops

from keras_asgld.backend import matrix


def counted(starts, width, step):
    return (starts + ops.arange(width, dtype="int32")[None]) * step


def joined(tensors, shapes, width, column):
    parts = []
    zeros = functools.cache(lambda size, dtype: ops.zeros((size,), dtype))
    rows, _, sizes = matrix.spans(shapes, width)
    for tensor, size in zip(tensors, sizes, strict=True):
        tensor = ops.convert_to_tensor(tensor)
        parts.append(reshaped(tensor, (size,)))
        if padding := -size % width:
            parts.append(zeros(padding, tensor.dtype))
    return ops.reshape(ops.concatenate(parts), (rows, width))


def cut(tensor, size):
    row = ops.reshape(tensor, (1, -1))
    return [row[:, begin : begin + size] for begin in range(0, row.shape[1], size)]


def reshaped(tensor, shape):
    # Most small variables are vectors already, and to trace hundreds of operations that
    # do nothing would be a good part of the first call. A sparse gradient that was made
    # dense may not know its length.
    return tensor if tuple(tensor.shape) == shape else ops.reshape(tensor, shape)


def assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def dense(gradient):
    return ops.convert_to_tensor(gradient, sparse=False)


def taken(table, numbers):
    if len(numbers) < 2:
        return [ops.take(table, each) for each in numbers]
    ends = np.cumsum([len(each) for each in numbers])
    return ops.split(ops.take(table, np.concatenate(numbers)), ends[:-1].tolist())


def elementwise(function, *static):
    return functools.partial(function, *static)


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
