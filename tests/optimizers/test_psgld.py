"""PSGLD against Keras's RMSprop and its own bounds; its laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import PSGLD
from tests.support.family import as_numpy, run


def test_at_temperature_zero_it_is_keras_rmsprop_but_for_epsilon(start, gradients):
    # Keras adds epsilon to the velocity, the paper to its square root; both are
    # below every rounding here.
    _, ours = run(PSGLD(0.05, 0.0, rho=0.9, epsilon=1e-30), start, gradients)
    rmsprop = keras.optimizers.RMSprop(0.05, rho=0.9, epsilon=1e-37)
    _, theirs = run(rmsprop, start, gradients)
    # Two roundings a step of steps below 0.2.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 2 * 2.0**-22)


def test_epsilon_stands_outside_the_square_root():
    epsilon, g, rho = 0.5, 2.0, 0.75
    _, values = run(PSGLD(0.1, 0.0, rho, epsilon), np.zeros(3), np.full((1, 3), g))
    velocity = (1 - rho) * g**2
    expected = -0.1 * g / (epsilon + np.sqrt(velocity))
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)


def test_velocity_of_a_constant_gradient_has_its_closed_form():
    optimizer = PSGLD(0.1, 0.01, rho=0.9, seed=0)
    variable, _ = run(optimizer, np.zeros(5), np.full((12, 5), 2.0))
    velocity = as_numpy(optimizer.slots(variable)[0])
    np.testing.assert_allclose(velocity, (1 - 0.9**12) * 4.0, rtol=1e-6)


def test_noise_of_a_step_is_preconditioned_by_the_new_velocity():
    n, rate, temperature, rho, epsilon = 100_000, 0.03, 0.5, 0.75, 0.1
    g = np.repeat([[0.2], [4.0]], n, axis=1)
    optimizer = PSGLD(rate, temperature, rho, epsilon, seed=0)
    _, values = run(optimizer, np.zeros((2, n)), g[None])
    G = 1 / (epsilon + np.sqrt((1 - rho) * g[:, 0] ** 2))
    mean, variance = values[0].mean(axis=1, dtype="float64"), values[0].var(axis=1)
    expected = 2 * rate * temperature * G
    assert (abs(mean + rate * G * g[:, 0]) < 5 * np.sqrt(expected / n)).all()
    assert (abs(variance / expected - 1) < 5 * np.sqrt(2 / n)).all()


@pytest.mark.parametrize(
    "argument, value",
    [
        ("rho", 1.0),
        ("rho", -0.1),
        ("rho", float("nan")),
        ("rho", None),
        ("epsilon", -1e-9),
        ("epsilon", float("inf")),
        ("epsilon", lambda: 1e-5),
    ],
)
def test_wrong_numbers_are_named(argument, value):
    received = f"`{argument}` must be .*Received: {argument}"
    with pytest.raises(ValueError, match=received):
        PSGLD(0.1, 0.0, **{argument: value})
