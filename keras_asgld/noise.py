"""Standard normal noise as a pure function of (seed, variable, update, element).

    words = sha256(seed, variable)                 two 32-bit words, made once
    key   = words mixed with the update            two 32-bit words
    w     = element * 0x9E3779B9                   one 32-bit word
    bits  = E_key(w) ^ w                           one 32-bit word
    z     = +- ndtri(u),  u = (k + 1/2) / 2**32    k: 31 bits; sign: the highest

There is no generator and no state: the same arguments give the same bits on every
backend and device, in eager mode or compiled, in one go or resumed. Everything is
element-wise integer and float arithmetic in `keras.ops`, so that a compiler fuses
the noise into the update that uses it and a partitioner splits it without
communication.
"""

import hashlib
import math

import keras
import numpy as np
from keras import ops

from keras_asgld import backend

# Elements are counted in steps of the golden ratio: the bits of a plain count are too
# regular for two rounds of the hash, and Crush finds it.
_STEP = 0x9E3779B9

# L = -log2(2u) is 0 at the middle of the distribution. sqrt(L + offset) behaves like
# z in the tail and is smooth at the middle. With few bits, the offset adds exactly.
_OFFSET = 115 / 128

# -log2(1 - t/2) = t P(t) on [0, 1], exactly 1 at t = 1: octaves join.
_LOG2 = (0.7212215, 0.18257237, 0.04707791, 0.05653761, -0.03325089, 0.02584149)

# z = s + Q(s - 2), s = sqrt(L + offset).
_NORMAL = (
    -0.430379301,
    0.387596369,
    -0.0655613244,
    0.0214230325,
    -0.00705137197,
    0.00212372467,
    -4.87924321e-04,
    6.88747459e-05,
    -4.27748546e-06,
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
    """The two key words of a variable at one update, int32.

    Args:
        words: A row of `noise_words`, or two tensors with the words of many variables.
        update: The update count, an integer scalar. Beyond 2**32 the noise goes on
            where the count has 64 bits, as Keras's has on TensorFlow.
    """
    if keras.backend.standardize_dtype(update.dtype) == "int64":
        words, update = _of_64_bits(words, update)
    return _mix(words[0] ^ update), words[1] + update * 0x1E3779B9


def _of_64_bits(words, update):
    """Words that depend on a count's upper half, and its lower half."""
    upper = ops.cast(ops.bitwise_right_shift(update, 32), "int32")
    words = words[0] + upper * 0x5BD1E995, words[1] + upper * 0x2545F491
    return words, ops.cast(update, "int32")


def random_bits(key, shape):
    """32 uniform random bits per element of `shape`, as int32.

    A Weyl sequence, two keyed rounds (an iterated Even-Mansour cipher, its rounds
    those of Wellons' hash lowbias32), then the sequence once more (Davies-Meyer):
    without that, no two elements of a variable would ever have equal bits, as by chance
    some should.

    Args:
        key: Two int32 scalars, from `noise_key`.
        shape: A tuple of integers. Or, where TensorFlow knows the shape only when it
            compiles, an int32 tensor of them: one axis or more, and at most 2**31
            elements.

    Raises:
        ValueError: If an axis is too long for 32-bit indices.
    """
    known = isinstance(shape, tuple)
    if known and (backend.is_partitioned() or math.prod(shape) >= 2**31):
        # An index for each axis, so that a partitioner can split the noise along any.
        _check_axes(shape)
        return bits_at(key, shape, _index(shape, key))
    w = _elements(shape, key) * _wrapped(_STEP)
    return _element_bits(key, ops.reshape(w, shape))


def bits_at(key, shape, index):
    """The random bits of the elements of `shape` at `index`, as int32.

    Args:
        key: Two int32 scalars, from `noise_key`.
        shape: A tuple of integers, each below 2**31.
        index: One int32 tensor per axis; they broadcast.

    Raises:
        ValueError: If an axis is too long for 32-bit indices.
    """
    _check_axes(shape)
    # 32 bits count the elements of the trailing axes. What is left of a larger
    # tensor are rows, each with a key of its own.
    rows = len(shape)
    while rows and math.prod(shape[rows - 1 :]) <= 2**32:
        rows -= 1
    if rows:
        key = noise_key(key, _flat_index(shape[:rows], index[:rows]))
    return _element_bits(key, _flat_index(shape[rows:], index[rows:], _STEP))


def _check_axes(shape):
    if max(shape, default=0) >= 2**31:
        raise ValueError(
            f"The axes of `shape` must be shorter than 2**31. Received: shape={shape}"
        )


def _element_bits(key, w):
    x = _xorshift(w ^ key[0], 16) * 0x21F0AAAD
    x = _xorshift(x ^ key[1], 15) * 0x735A2D97
    return _xorshift(x, 15) ^ w


def normal_from_bits(bits):
    """Maps 32 random bits (int32) to a standard normal draw (float32).

    The lower 31 bits k are the magnitude, the highest is the sign: z is odd. |z|
    falls from 6.338 at k = 0 to 1.2e-7 at the last k and never rises, with or
    without fused multiply-add: of z = s + Q, Q varies less than s from one float to
    the next. The largest error against the exact inverse is 6.7e-6.
    """
    magnitude = ops.cast(bits & 0x7FFFFFFF, "float32") + 0.5
    # A float's own bits hold its logarithm: exponent and mantissa. The mantissa with
    # another exponent and the sign is -2 < t - 2 <= -1.
    float_bits = backend.bitcast(magnitude, "int32")
    exponent = ops.cast(ops.bitwise_right_shift(float_bits, 23), "float32")
    mantissa = (float_bits & 0x007FFFFF) | _wrapped(0xBF800000)
    t = backend.bitcast(mantissa, "float32") + 2.0
    square = (157.0 + _OFFSET) - exponent
    s = ops.sqrt(square + t * backend.polynomial(t, _LOG2))
    z = backend.polynomial(s - 2.0, _NORMAL) + s
    return _with_sign(z, bits)


def _with_sign(z, bits):
    signed = backend.bitcast(z, "int32") ^ (bits & -0x80000000)
    return backend.bitcast(signed, "float32")


def normal(key, shape):
    """Standard normal noise of `shape`, float32.

    Args:
        key: Two int32 scalars, from `noise_key`.
        shape: The shape of the variable, as for `random_bits`.
    """
    return normal_from_bits(random_bits(key, shape))


def places(key, starts, width):
    """Where the elements of a matrix lie in their variables, for `normal_at`.

    Args:
        key: That of `normal_at`.
        starts: Int32 of (rows, 1): the flat index of the element each row begins with,
            modulo 2**32. No variable may have more elements than that.
        width: The length of the rows.
    """
    starts = backend.not_folded(starts, key)
    return backend.counted(starts, width, _wrapped(_STEP))


def normal_at(key, other_key, w):
    """Pieces of the noise of several variables, float32 of (rows, width).

    Each row is a piece of what `normal` gives for its variable.

    Args:
        key, other_key: Int32 of (rows, 1), from `noise_key`: each row's variable's.
        w: Where its elements lie, from `places`.
    """
    return normal_from_bits(_element_bits((key, other_key), w))


def _elements(shape, key):
    """The flat indices of the elements of `shape`, int32 of (rows, elements of a row).

    Fewer axes are fewer operations, each of which takes time to compile; along one
    alone XLA counts in 64 bits, in vectors twice as wide as all others.
    """
    if isinstance(shape, tuple):
        rows, width = math.prod(shape[:-1]), (1, *shape)[-1]
    else:
        rows, width = ops.prod(shape[:-1]), shape[-1]
    row = backend.not_folded(ops.arange(rows, dtype="int32"), key)
    return (row * width)[:, None] + ops.arange(width, dtype="int32")[None]


def _index(shape, key):
    """The positions along each axis, int32 tensors that broadcast to `shape`."""
    index = [
        ops.reshape(
            ops.arange(size, dtype="int32"),
            [size if other == axis else 1 for other in range(len(shape))],
        )
        for axis, size in enumerate(shape)
    ]
    if index:
        index[0] = backend.not_folded(index[0], key)
    return index


def _flat_index(shape, index, step=1):
    """The row-major flat index, counted in steps, modulo 2**32, as int32."""
    if not shape:
        return ops.zeros((), "int32")
    strides = [step * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    terms = [
        position * _wrapped(stride)
        for position, stride in zip(index, strides, strict=True)
    ]
    return sum(terms[1:], terms[0])


def _wrapped(number):
    # By hand: no backend takes a Python integer that int32 cannot hold.
    return (number + 2**31) % 2**32 - 2**31


def _mix(x):
    """lowbias32 of Wellons' hash prospector: a bijection of 32-bit words."""
    x = _xorshift(x, 16) * 0x21F0AAAD
    x = _xorshift(x, 15) * 0x735A2D97
    return _xorshift(x, 15)


def _xorshift(x, distance):
    # A logical shift: int32 is the one 32-bit type that all backends multiply.
    return x ^ (ops.bitwise_right_shift(x, distance) & ((1 << (32 - distance)) - 1))
