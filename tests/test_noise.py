"""The noise: its bits, its index arithmetic, its transform and its statistics."""

import hashlib
import importlib.util
import math
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from keras_asgld import backend, noise
from keras_asgld.backend import compiled

MASK = 0xFFFFFFFF
MIDDLE = 2**31 - 1  # the largest magnitude, whose z is the smallest


def reference_words(seed, variable, stream=0):
    digest = hashlib.sha256(f"{seed}/{stream}/{variable}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def reference_key(words, number):
    return reference_mix(words[0] ^ number), (words[1] + number * 0x1E3779B9) & MASK


def reference_mix(x):
    x = (x ^ (x >> 16)) * 0x21F0AAAD & MASK
    x = (x ^ (x >> 15)) * 0x735A2D97 & MASK
    return x ^ (x >> 15)


def reference_bits(words, update, element, row=None):
    """The definition in Python's own integers, which never overflow."""
    key = reference_key(words, update)
    if row is not None:
        key = reference_key(key, row)
    element = element * 0x9E3779B9 & MASK
    x = element ^ key[0]
    x = (x ^ (x >> 16)) * 0x21F0AAAD & MASK
    x ^= key[1]
    x = (x ^ (x >> 15)) * 0x735A2D97 & MASK
    return x ^ (x >> 15) ^ element


def as_unsigned(bits):
    return ops.convert_to_numpy(bits).view("uint32")


def tensor(value):
    return ops.convert_to_tensor(value, "int32")


def key_of(seed=0, variable=0, update=0):
    words = noise.noise_words(seed, variable + 1)[variable]
    return noise.noise_key(tensor(words), tensor(update))


def draw(seed, variable, update, shape):
    words = noise.noise_words(seed, variable + 1)[variable]
    normal = compiled(_normal, shape)
    return ops.convert_to_numpy(normal(tensor(words), tensor(update)))


def _normal(shape, words, update):
    return noise.normal(noise.noise_key(words, update), shape)


def normal_of(bits):
    function = compiled(noise.normal_from_bits)
    return ops.convert_to_numpy(function(tensor(np.asarray(bits, "int32"))))


# Bits


@pytest.mark.parametrize("seed", [0, 1, 2**80])
@pytest.mark.parametrize("variable", [0, 9])
@pytest.mark.parametrize("update", [0, 1, 2**31 - 1])
def test_bits_are_those_of_an_independent_definition(seed, variable, update):
    got = as_unsigned(noise.random_bits(key_of(seed, variable, update), (3, 2, 5)))
    words = reference_words(seed, variable)
    expected = [reference_bits(words, update, element) for element in range(30)]
    np.testing.assert_array_equal(got.ravel(), np.array(expected, "uint32"))


def test_bits_never_change_between_versions():
    got = as_unsigned(noise.random_bits(key_of(seed=1, variable=2, update=3), (4,)))
    assert [f"{word:08x}" for word in got] == GOLDEN


GOLDEN = ["52c5cb85", "0f3bdbc3", "da6cca55", "01397c39"]


def test_a_variables_words_do_not_depend_on_how_many_there_are():
    words = noise.noise_words(5, 40)
    np.testing.assert_array_equal(noise.noise_words(5, 7), words[:7])
    assert words.dtype == "int32" and words.shape == (40, 2)
    expected = [reference_words(5, variable, stream=0) for variable in range(40)]
    np.testing.assert_array_equal(words.view("uint32"), np.array(expected, "uint32"))


def test_seeds_streams_variables_updates_and_elements_have_bits_of_their_own():
    words = np.concatenate(
        [noise.noise_words(seed, 6, stream) for seed in range(6) for stream in range(3)]
    )
    key = noise.noise_key(
        tensor(words.T[:, :, None, None]), tensor(np.arange(20)[:, None])
    )
    words = as_unsigned(noise.bits_at(key, (50,), [tensor(np.arange(50))]))
    # Among n uniform words, n (n - 1) / 2**33 pairs are equal by chance.
    by_chance = words.size**2 / 2**33
    repeats = words.size - np.unique(words).size
    assert words.size == 108_000
    assert abs(repeats - by_chance) < 5 * math.sqrt(by_chance) + 1


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4), (1, 24, 1), (2, 1, 3, 4)])
def test_bits_depend_on_the_row_major_position_alone(shape, partitioned, monkeypatch):
    monkeypatch.setattr(backend, "is_partitioned", lambda: partitioned)
    flat = as_unsigned(noise.random_bits(key_of(), (24,)))
    got = as_unsigned(noise.random_bits(key_of(), shape))
    np.testing.assert_array_equal(got, flat.reshape(shape))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the others know every shape"
)
@pytest.mark.parametrize("shape", [(24,), (0, 5), (40_000, 3), (2, 5, 3, 4)])
def test_a_shape_that_is_a_tensor_has_the_same_bits(shape):
    bits, same = (
        as_unsigned(noise.random_bits(key_of(3, 1, 7), each))
        for each in (shape, tensor(shape))
    )
    np.testing.assert_array_equal(same, bits)


def test_compiled_and_eager_noise_is_the_same():
    key = key_of(3, 1, 7)
    eager = noise.random_bits(key, (7, 9))
    bits = compiled(_bits, (7, 9))(*key)
    np.testing.assert_array_equal(as_unsigned(bits), as_unsigned(eager))
    z = ops.convert_to_numpy(noise.normal_from_bits(eager))
    np.testing.assert_allclose(draw(3, 1, 7, (7, 9)), z, rtol=1e-6, atol=1e-6)


def _bits(shape, *key):
    return noise.random_bits(key, shape)


def rank(rows):
    """The rank over GF(2) of rows of bits, given as integers."""
    basis = {}
    for row in rows:
        while row and row.bit_length() in basis:
            row ^= basis[row.bit_length()]
        if row:
            basis[row.bit_length()] = row
    return len(basis)


@pytest.mark.parametrize("axis", ["elements", "updates", "variables"])
def test_matrices_of_neighbouring_bits_have_the_ranks_of_random_ones(axis):
    # A hash that is too near to linear gives matrices of low rank.
    size, count = 256, 100
    number = np.arange(count * size * size // 32)
    update = element = 0
    words = noise.noise_words(0, 1)[0]
    if axis == "elements":
        element = number
    elif axis == "updates":
        update = number
    else:
        words = noise.noise_words(0, number.size).T
    key = noise.noise_key(tensor(words), tensor(update))
    bits = as_unsigned(noise.bits_at(key, (number.size,), [tensor(element)]))
    ranks = [
        rank([int.from_bytes(row.tobytes(), "little") for row in matrix])
        for matrix in bits.reshape(count, size, size // 32)
    ]
    found = [ranks.count(size), ranks.count(size - 1)]
    shares = np.array([0.288788, 0.577576, 0.133636])  # of full rank, one less, others
    expected = count * shares
    _, p = stats.chisquare([*found, count - sum(found)], expected)
    assert p > 1e-3, np.bincount(ranks)


# Index arithmetic


@pytest.mark.parametrize(
    ("shape", "row_axes"),
    [
        ((2**31 - 1,), 0),
        ((2**20, 2**12), 0),
        ((1, 2**16, 2**16), 0),
        ((3, 2**16, 2**16), 1),
        ((2**12, 2**20 + 1), 1),
        ((2**31 - 1, 2**31 - 1), 1),
        ((5, 7, 2**20, 2**12), 2),
        ((70_000, 3, 70_000), 1),
    ],
)
def test_elements_beyond_32_bits_are_reached_without_allocating(shape, row_axes):
    random = np.random.default_rng(0)
    positions = [[size - 1 for size in shape], [0] * len(shape)]
    positions += [[random.integers(size) for size in shape] for _ in range(30)]
    index = [tensor(np.array(axis, "int32")) for axis in zip(*positions, strict=True)]
    got = as_unsigned(noise.bits_at(key_of(1, 2, 3), shape, index))
    expected = []
    for position in positions:
        flat = 0
        for size, place in zip(shape, position, strict=True):
            flat = flat * size + int(place)
        row, element = divmod(flat, math.prod(shape[row_axes:]))
        words = reference_words(1, 2)
        row = row if row_axes else None
        expected.append(reference_bits(words, 3, element, row))
    np.testing.assert_array_equal(got, np.array(expected, "uint32"))


def test_elements_2_to_the_32_apart_have_unrelated_bits():
    shape = (64, 2**16, 2**16)
    row = np.arange(64)[:, None]
    column = np.arange(4096)[None]
    index = [tensor(row), tensor(np.zeros((1, 1))), tensor(column)]
    z = normal_of(ops.convert_to_numpy(noise.bits_at(key_of(), shape, index)))
    correlations = np.corrcoef(z)[np.triu_indices(64, 1)] * math.sqrt(4096)
    assert np.abs(correlations).max() < 5
    # ... and are no permutation of one another: sorted, two rows differ.
    words = as_unsigned(noise.bits_at(key_of(), shape, index))
    assert np.unique(words).size > words.size - 40


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0,), (0, 3), (4, 0)])
def test_scalars_and_empty_tensors_have_noise_of_their_shape(shape):
    z = draw(0, 0, 0, shape)
    assert z.shape == shape and z.dtype == "float32"
    if z.size:
        bits = reference_bits(reference_words(0, 0), 0, 0)
        expected = normal_of([bits - 2**32 if bits >= 2**31 else bits])
        np.testing.assert_allclose(z.ravel(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(2**31,), (1, 2**31), (3, 2**31 + 1)])
def test_an_axis_too_long_for_its_indices_is_refused(shape):
    received = re.escape(f"Received: shape={shape}")
    with pytest.raises(ValueError, match=rf"axes of `shape`.*{received}"):
        noise.bits_at(key_of(), shape, [tensor(0)] * len(shape))
    with pytest.raises(ValueError, match=rf"axes of `shape`.*{received}"):
        noise.random_bits(key_of(), shape)


# Transform


def magnitudes():
    """Both ends completely, and a stride through the rest, in order."""
    return np.unique(
        np.concatenate(
            [
                np.arange(2**16),
                np.arange(0, 2**31, 4093),
                np.arange(2**31 - 2**16, 2**31),
            ]
        )
    )


def test_the_transform_is_finite_odd_and_close_to_the_inverse_normal():
    k = magnitudes()
    z = normal_of(k)
    assert np.isfinite(z).all()
    np.testing.assert_array_equal(normal_of(k - 2**31), -z)
    np.testing.assert_allclose(z, -special.ndtri((k + 0.5) / 2**32), atol=7e-6, rtol=0)


def test_the_transform_is_monotone():
    # Near the middle z changes least from one input to the next. There, in the upper
    # half of the magnitudes, 128 inputs share a float: these are all the floats.
    for k in (np.arange(2**30, 2**31, 2**7), magnitudes()):
        assert np.diff(normal_of(k)).max() <= 0


def test_the_transform_leaves_no_gap_at_the_middle_and_ends_where_32_bits_end():
    smallest, largest = normal_of([MIDDLE, 0])
    assert 0 < smallest < 3e-7
    assert abs(largest + special.ndtri(2.0**-33)) < 7e-6
    assert normal_of([-1, -(2**31)]).tolist() == [-smallest, -largest]


# Statistics

SEEDS, VARIABLES, UPDATES, ELEMENTS = 4, 4, 8, 2**15


@pytest.fixture(scope="module")
def sample():
    """4.2 million draws: seeds, variables, updates, elements."""
    z = [
        draw(seed, variable, update, (ELEMENTS,))
        for seed, variable, update in np.ndindex(SEEDS, VARIABLES, UPDATES)
    ]
    return np.reshape(z, (SEEDS, VARIABLES, UPDATES, ELEMENTS)).astype("float64")


def test_moments_to_the_sixth_are_those_of_a_standard_normal(sample):
    for k, expected in enumerate([0, 1, 0, 3, 0, 15], 1):
        second = math.prod(range(2 * k - 1, 0, -2))
        error = math.sqrt((second - expected**2) / sample.size)
        assert abs((sample**k).mean() - expected) < 5 * error, k


def test_the_tails_are_those_of_a_standard_normal(sample):
    for tail in (1, 2, 3, 4, 5):
        for side in (sample, -sample):
            expected = special.ndtr(-tail) * sample.size
            assert abs((side > tail).sum() - expected) < 5 * math.sqrt(expected)


def test_the_distribution_is_a_standard_normal(sample):
    z = np.sort(sample.ravel())
    assert stats.kstest(z, "norm").pvalue > 1e-3
    weight = 2 * np.arange(z.size) + 1
    log_both = special.log_ndtr(z) + special.log_ndtr(-z[::-1])
    # The Anderson-Darling statistic of a fully given distribution passes 6.0 once
    # in a thousand samples.
    assert -z.size - (weight * log_both).mean() < 6.0


@pytest.mark.parametrize("axis", ["seeds", "variables", "updates", "elements"])
def test_noise_is_uncorrelated_along(sample, axis):
    axis = ["seeds", "variables", "updates", "elements"].index(axis)
    length = sample.shape[axis]
    for lag in (1, 2, 3):
        a = sample.take(range(lag, length), axis)
        b = sample.take(range(length - lag), axis)
        error = 1 / math.sqrt(a.size)
        assert abs((a * b).mean()) < 5 * error
        assert abs(((a * a - 1) * (b * b - 1)).mean() / 2) < 5 * error


# Backends

PROGRAM = """
import sys
import numpy as np
from keras import ops
from keras_asgld import noise
from keras_asgld.backend import compiled

words = ops.convert_to_tensor(noise.noise_words(7, 3)[2])
update = ops.convert_to_tensor(11, "int32")
key = noise.noise_key(words, update)
ends = np.concatenate([np.arange(4096), np.arange(2**31 - 4096, 2**31)])
ends = ops.convert_to_tensor(ends.astype("int32"))
bits = noise.random_bits(key, (3, 100_000))
z = [noise.normal_from_bits(bits), noise.normal_from_bits(ends)]
z += [compiled(noise.normal_from_bits)(x) for x in (bits, ends)]
np.savez(sys.argv[1], bits=bits, **{str(i): x for i, x in enumerate(z)})
"""


def test_backends_give_equal_bits_and_normals_equal_to_a_millionth(tmp_path):
    backends = [
        name
        for name in ("tensorflow", "jax", "torch")
        if importlib.util.find_spec(name) is not None
    ]
    if len(backends) == 1:
        pytest.skip(f"only {backends[0]} is installed")
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / f"{name}.npz")],
            env=os.environ | {"KERAS_BACKEND": name, "CUDA_VISIBLE_DEVICES": "-1"},
            stderr=subprocess.PIPE,
        )
        for name in backends
    }
    for name, process in running.items():
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, f"{name}: {errors.decode()[-2000:]}"
    first, *others = (np.load(tmp_path / f"{name}.npz") for name in backends)
    for other in others:
        np.testing.assert_array_equal(other["bits"], first["bits"])
        for name in first.files:
            np.testing.assert_allclose(other[name], first[name], rtol=1e-6, atol=1e-6)
