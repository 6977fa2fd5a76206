"""Standard normal noise as a pure function of (seed, variable, update, element).

    words = sha256(seed, variable)                 two 32-bit words, made once
    key   = words mixed with the update            two 32-bit words
    bits  = E_key(element) ^ element               one 32-bit word
    z     = +- ndtri(u),  u = (k + 1/2) / 2**32    k: 31 of the bits; sign: the last

There is no generator and no state: the same arguments give the same bits on every
backend and device, in eager mode or compiled, in one go or resumed. Everything is
element-wise integer and float arithmetic in `keras.ops`, so that a compiler fuses
the noise into the update that uses it and a partitioner splits it without
communication.
"""

import hashlib
import math

import numpy as np
from keras import ops

# -log2(2u) = 0 at the middle of the distribution. The square root of this variable
# behaves like z in the tail; the offset makes it smooth, and z linear, at the middle.
_OFFSET = 0.9
_SQRT_OFFSET = float(np.sqrt(np.float32(_OFFSET)))

# log2(1 + m) = m + m (1 - m) R(m): exact at both ends, so octaves join.
_LOG2 = (0.44254494, -0.27560031, 0.18194887, -0.09595645, 0.02584144)

# z = d Q(d), d = sqrt(-log2(2u) + offset) - sqrt(offset).
_NORMAL = (
    1.64843058,
    -2.17298787e-01,
    9.04383994e-02,
    -3.01118087e-02,
    7.28205063e-03,
    -1.16671974e-03,
    1.09105969e-04,
    -4.47116519e-06,
)


def noise_words(seed, variables, stream=0):
    """The part of the noise that never changes: two random words a variable.

    Args:
        seed: A non-negative integer of any size.
        variables: The number of variables.
        stream: A non-negative integer that separates the noise of optimizers which
            share a seed.

    Returns:
        A NumPy int32 array of shape (variables, 2).
    """
    digests = [
        hashlib.sha256(f"{seed}/{stream}/{variable}".encode()).digest()[:8]
        for variable in range(variables)
    ]
    return np.frombuffer(b"".join(digests), "<i4").astype("int32").reshape(-1, 2)


def noise_key(words, update):
    """The two key words of one variable at one update, int32 scalars."""
    return _mix(ops.bitwise_xor(words[0], update)), words[1] + update * 0x1E3779B9


def random_bits(key, shape):
    """32 uniform random bits per element of `shape`, as int32."""
    element = _element(shape)
    x = ops.bitwise_xor(element, key[0])
    x = _xorshift(x, 16) * 0x21F0AAAD
    x = ops.bitwise_xor(x, key[1])
    x = _xorshift(x, 15) * 0x735A2D97
    return ops.bitwise_xor(_xorshift(x, 15), element)


def normal_from_bits(bits):
    """Maps 32 random bits (int32) to a standard normal draw (float32)."""
    # A float's own bits hold its logarithm: exponent, then the mantissa m, which
    # is log2(1 + m) up to a small smooth correction.
    magnitude = ops.cast(ops.bitwise_and(bits, 0x7FFFFFFF), "float32") + 0.5
    float_bits = ops.view(magnitude, "int32")
    mantissa = ops.bitwise_and(float_bits, 0x007FFFFF)
    m = ops.view(ops.bitwise_or(mantissa, 0x3F800000), "float32") - 1.0
    linear = ops.cast(0x4F000000 - float_bits, "float32") * (2.0**-23)
    minus_log2 = linear - m * (1.0 - m) * _polynomial(m, _LOG2)
    d = ops.sqrt(minus_log2 + _OFFSET) - _SQRT_OFFSET
    z = ops.view(d * _polynomial(d, _NORMAL), "int32")
    return ops.view(ops.bitwise_xor(z, ops.bitwise_and(bits, -0x80000000)), "float32")


def normal(words, update, shape):
    """Standard normal noise of `shape`, float32.

    Args:
        words: One row of `noise_words`: two int32.
        update: The update count, an int32 scalar.
        shape: The shape of the variable, a tuple of integers.
    """
    return normal_from_bits(random_bits(noise_key(words, update), shape))


def _element(shape):
    """The flat index of every element (row-major), modulo 2**32, as int32.

    A sum over the axes instead of one long `arange`, so that a partitioner can
    split it along any axis.
    """
    element = ops.zeros((1,) * len(shape), "int32")
    for axis, size in enumerate(shape):
        index = ops.reshape(
            ops.arange(size, dtype="int32"), [size] + [1] * (len(shape) - axis - 1)
        )
        element = element + index * math.prod(shape[axis + 1 :])
    return element


def _mix(x):
    """lowbias32 of Wellons' hash prospector: a bijection of 32-bit words."""
    x = _xorshift(x, 16) * 0x21F0AAAD
    x = _xorshift(x, 15) * 0x735A2D97
    return _xorshift(x, 15)


def _xorshift(x, distance):
    # A logical shift: int32 is the one 32-bit type that all backends multiply.
    shifted = ops.bitwise_right_shift(x, distance)
    return ops.bitwise_xor(x, ops.bitwise_and(shifted, (1 << (32 - distance)) - 1))


def _polynomial(x, coefficients):
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
