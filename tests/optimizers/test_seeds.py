"""What seeds promise: which noise is the same and which is not."""

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, noise
from tests.support.family import as_numpy, run


def test_one_seed_gives_one_trajectory(member, start, gradients):
    gradients = gradients[:20]
    _, a = run(member(seed=11), start, gradients)
    _, b = run(member(seed=11), start, gradients)
    _, c = run(member(seed=12), start, gradients)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).min(axis=(1, 2)).max() > 0


def test_seed_none_obeys_set_random_seed(member, start, gradients):
    trajectories = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        trajectories.append(run(member(seed=None), start, gradients[:3])[1])
    np.testing.assert_array_equal(trajectories[0], trajectories[1])
    assert (trajectories[0] != trajectories[2]).all()


def carried_over(optimizer, variable):
    """What a momentum adds to the next step, which is no noise of that step."""
    slots = [as_numpy(slot).astype("float64") for slot in optimizer.slots(variable)]
    name = type(optimizer).__name__
    if name == "BAOA":
        return slots[0]
    if name == "SGHMC":
        return optimizer.momentum * slots[0]
    return (optimizer.momentum - slots[1]) * slots[0] if name == "SGNHT" else 0.0


def test_equal_shapes_and_successive_updates_get_different_noise(member):
    n = 20_000
    optimizer = member(learning_rate=1.0)
    variables = [keras.Variable(np.zeros(n, "float32")) for _ in range(2)]
    gradient = keras.ops.convert_to_tensor(np.ones(n, "float32"))
    optimizer.build(variables)
    steps, last = [], [np.zeros(n)] * 2
    for _ in range(3):
        old = [carried_over(optimizer, variable) for variable in variables]
        optimizer.apply([gradient] * 2, variables)
        now = [as_numpy(v).astype("float64") for v in variables]
        steps += [b - a - c for a, b, c in zip(last, now, old, strict=True)]
        last = now
    correlation = np.corrcoef(steps) - np.eye(6)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"), reason="Keras 3.15 has it"
)
def test_members_of_a_multi_optimizer_do_not_share_noise(member):
    n = 20_000
    variables = [
        keras.Variable(np.zeros(n, "float32"), name=name) for name in ("one", "two")
    ]
    members = [member(learning_rate=1.0) for _ in range(2)]
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(members[0], {".*two": members[1]})
    )
    gradient = keras.ops.convert_to_tensor(np.ones(n, "float32"))
    for _ in range(2):
        optimizer.apply([gradient] * 2, variables)
    correlation = np.corrcoef([as_numpy(v) for v in variables])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(n)


@pytest.mark.parametrize("count", [5, 2**31 - 1, 2**31, 2**32 - 1])
def test_noise_of_a_64_bit_count_is_that_of_its_32_bits(count):
    optimizer = ASGLD(seed=7)
    variable = keras.Variable(np.ones(50, "float32"))
    optimizer.build([variable])
    words = noise.noise_words(7, 1)[0]
    key = noise.noise_key(
        keras.ops.convert_to_tensor(words),
        keras.ops.convert_to_tensor(np.array(count, "uint32").view("int32")),
    )
    if keras.backend.standardize_dtype(optimizer.iterations.dtype) != "int64":
        count = int(np.array(count, "uint32").view("int32"))  # as Keras's own count
    z = optimizer.standard_normal(variable, count)
    np.testing.assert_array_equal(as_numpy(z), as_numpy(noise.normal(key, (50,))))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras counts in 32 bits there"
)
def test_noise_does_not_repeat_after_two_to_the_32_updates(member):
    n = 20_000
    gradient = keras.ops.ones((n,))
    steps = []
    for count in (3, 2**32 + 3, 2**33 + 3, 2**33 + 2**32 + 3):
        optimizer = member(learning_rate=1.0)
        variable = keras.Variable(np.zeros(n, "float32"))
        optimizer.build([variable])
        optimizer.iterations.assign(count)
        optimizer.apply([gradient], [variable])
        steps.append(as_numpy(variable))
    correlation = np.corrcoef(steps) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)
