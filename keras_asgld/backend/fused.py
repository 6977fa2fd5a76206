"""Arithmetic for compilers, which keep what is between two operations in registers."""

from keras import ops


def counted(starts, width, step):
    return (starts + ops.arange(width, dtype="int32")[None]) * step


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
