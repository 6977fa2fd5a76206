"""ScaleFreeASGLD: its identity with Adam's second moment, its bounds, its relatives."""

import keras
import numpy as np
import pytest

from keras_asgld import ScaleFreeASGLD
from tests.support import reference
from tests.support.family import as_numpy, run

# Below every rounding here, and far above the least square that float32 holds.
TINY = 1e-15


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_variance_and_squared_mean_make_the_running_square(start, gradients, momentum):
    optimizer = ScaleFreeASGLD(0.01, momentum, seed=0)
    variable = keras.Variable(start)
    square = np.zeros_like(start, "float64")
    for g in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
        square = momentum * square + (1 - momentum) * g.astype("float64") ** 2
        mu, C = (as_numpy(slot).astype("float64") for slot in optimizer.slots(variable))
        # A few roundings a step, of numbers below 4, remembered 1 / (1 - rho) steps.
        np.testing.assert_allclose(C + mu**2, square, rtol=2e-5, atol=2e-6)


def test_without_noise_it_is_bias_corrected_rmsprop(start, gradients):
    _, ours = run(ScaleFreeASGLD(0.01, 0.9, 0.0, epsilon=TINY), start, gradients)
    adam = keras.optimizers.Adam(0.01, beta_1=0.0, beta_2=0.9, epsilon=1e-30)
    _, theirs = run(adam, start, gradients)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)


def test_much_noise_is_adam_of_equal_betas_without_correction_of_the_mean(
    start, gradients
):
    noise, rate, rho = 1e6, 0.01, 0.9
    # z = 0 leaves the mean path.
    ours = ScaleFreeASGLD(rate / noise, rho, noise, epsilon=TINY)
    ours.exclude_from_noise(var_names=["weight"])
    _, path = run(ours, start, gradients)

    class MeanUncorrected(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return rate * (1 - rho ** (keras.ops.cast(step, "float32") + 1))

    adam = keras.optimizers.Adam(MeanUncorrected(), rho, rho, epsilon=1e-30)
    _, theirs = run(adam, start, gradients)
    np.testing.assert_allclose(path, theirs, rtol=0, atol=3e-5)


@pytest.mark.parametrize("exponent", [-20, 20])
def test_scaling_the_loss_and_epsilon_by_a_power_of_two_changes_no_bit(
    start, gradients, exponent
):
    factor = 2.0**exponent
    plain = ScaleFreeASGLD(0.01, 0.9, 2.0, epsilon=1e-4, seed=3)
    scaled = ScaleFreeASGLD(0.01, 0.9, 2.0, epsilon=1e-4 * factor, seed=3)
    _, a = run(plain, start, gradients)
    _, b = run(scaled, start, gradients * np.float32(factor))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaling_the_loss_changes_the_path_by_what_epsilon_explains(
    start, gradients, factor
):
    epsilon = 1e-12
    _, a = run(ScaleFreeASGLD(0.01, 0.9, 2.0, epsilon, seed=3), start, gradients)
    scaled = gradients * np.float32(factor)
    _, b = run(ScaleFreeASGLD(0.01, 0.9, 2.0, epsilon, seed=3), start, scaled)
    # Steps of at most 0.2 change by a share of epsilon over the least root mean square,
    # about 1e-2 of factor, and by a few roundings; there are 60.
    np.testing.assert_allclose(a, b, rtol=0, atol=60 * 0.2 * (1e-12 / 1e-8 + 2**-21))


def test_constant_gradient_has_its_closed_form():
    rate, rho, psi, n = 0.01, 0.8, 1.5, 50
    optimizer = ScaleFreeASGLD(rate, rho, psi, epsilon=TINY, seed=2)
    _, values = run(optimizer, np.zeros(n), np.full((12, n), -3.0))
    theta = np.zeros(n)
    for t in range(1, 13):
        z = reference.draw(optimizer, 0, t - 1, (n,))
        left = rho**t
        # v is g^2, mu is (1 - left) g and C is left (1 - left) g^2.
        xi = -(1 - left) + np.sqrt(left * (1 - left)) * z
        theta = theta - rate * (-1 + psi * xi)
        np.testing.assert_allclose(values[t - 1], theta, rtol=0, atol=1e-5)


def test_first_step_is_one_learning_rate_plus_noise_whatever_the_gradient():
    n, rate, rho, psi = 100_000, 0.01, 0.9, 2.0
    g = np.repeat([[1e-5], [-300.0]], n, axis=1)
    _, values = run(ScaleFreeASGLD(rate, rho, psi, TINY, seed=0), np.zeros((2, n)), [g])
    steps = -values[0].astype("float64") * np.sign(g)
    mean, sd = rate * (1 + psi * (1 - rho)), rate * psi * np.sqrt(rho * (1 - rho))
    assert (abs(steps.mean(axis=1) - mean) < 5 * sd / np.sqrt(n)).all()
    assert (abs(steps.std(axis=1) / sd - 1) < 5 / np.sqrt(2 * n)).all()


def adversarial_gradients():
    """Silence and a blow, growth, signs that alternate, noise: what strains a bound."""
    rng = np.random.default_rng(0)
    t = np.arange(80.0)
    quiet = np.where(t == 60, 1e4, 1e-4)
    growth = 3.0 ** np.minimum(t, 20)
    alternating = np.where(t % 2 == 0, 5.0, -5.0)
    noise = rng.standard_normal(80) * 10.0 ** rng.integers(-6, 6, 80)
    silence = np.where(t == 40, 1.0, 0.0)
    return np.stack([quiet, growth, alternating, noise, silence], axis=1)


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99])
def test_steps_are_bounded(rho):
    gradients, psi = adversarial_gradients(), 3.0
    optimizer = ScaleFreeASGLD(1.0, rho, psi, epsilon=TINY, seed=1)
    _, values = run(optimizer, np.zeros(5), gradients)
    steps = np.diff(values.astype("float64"), axis=0, prepend=0)
    for update, step in enumerate(steps):
        z = reference.draw(optimizer, 0, update, (5,))
        seen = 1 - rho ** (update + 1)
        bound = np.sqrt(seen / (1 - rho)) + psi * np.sqrt(seen * (1 + z**2))
        assert (abs(step) <= bound + 1e-4).all()  # roundings of sums up to 500


def test_bound_is_met_by_a_blow_after_silence():
    rho, gradient = 0.9, np.zeros((41, 1))
    gradient[40] = 7.0
    _, values = run(ScaleFreeASGLD(1.0, rho, 0.0, TINY), np.zeros(1), gradient)
    np.testing.assert_array_equal(values[39], 0)
    np.testing.assert_allclose(
        -values[40], np.sqrt((1 - rho**41) / (1 - rho)), rtol=1e-5
    )


def test_zero_gradients_move_nothing():
    variable, values = run(ScaleFreeASGLD(0.1, seed=0), np.ones(4), np.zeros((5, 4)))
    np.testing.assert_array_equal(values, 1)
    _, subnormal = run(ScaleFreeASGLD(0.1, seed=0), np.ones(4), np.full((5, 4), 1e-40))
    np.testing.assert_allclose(subnormal, 1, rtol=0, atol=1e-6)


def test_update_count_set_by_hand_keeps_steps_in_the_bound():
    rate, rho = 1.0, 0.9
    optimizer = ScaleFreeASGLD(rate, rho, 0.0, TINY)
    variable = keras.Variable(np.zeros(3, "float32"))
    optimizer.build([variable])

    def step(updates_before):
        optimizer._iterations.assign(updates_before)
        before = as_numpy(variable)
        optimizer.apply([keras.ops.ones(3)], [variable])
        return abs(as_numpy(variable) - before)

    # Far ahead of slots that are new, the correction is missing: the longest step.
    np.testing.assert_allclose(step(1000), rate / np.sqrt(1 - rho), rtol=1e-5)
    for count in range(1001, 1200):
        step(count)
    # Back to zero with slots that are old, it is applied once too often.
    np.testing.assert_allclose(step(0), rate * np.sqrt(1 - rho), rtol=1e-4)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("momentum", float("nan")),
        ("epsilon", -1e-9),
        ("epsilon", float("inf")),
        ("epsilon", lambda: 1e-5),
        ("noise", -1.0),
        ("noise", "loud"),
    ],
)
def test_wrong_numbers_are_named(argument, value):
    received = f"`{argument}` must be .*Received: {argument}"
    with pytest.raises(ValueError, match=received):
        ScaleFreeASGLD(0.1, **{argument: value})
