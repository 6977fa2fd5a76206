"""BAOA against momentum SGD and the splitting's limits; laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import BAOA, SGHMC
from tests.support import reference
from tests.support.family import as_numpy, run


def test_at_temperature_zero_with_exact_products_it_is_keras_momentum_sgd(
    start, gradients
):
    _, ours = run(BAOA(0.0625, 0.5, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.0625, momentum=0.5), start, gradients)
    np.testing.assert_array_equal(ours, theirs)


def test_at_temperature_zero_it_is_keras_momentum_sgd_to_rounding(start, gradients):
    _, ours = run(BAOA(0.05, 0.9, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.05, momentum=0.9), start, gradients)
    # A rounding of a product below 1 a step, lasting ten steps in the momentum.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 10 * 2.0**-24)


def test_it_is_sghmc_with_the_average_of_two_pushes(start, gradients):
    rate, momentum, temperature = 0.05, 0.8, 0.3
    optimizer = BAOA(rate, momentum, temperature, seed=4)
    _, values = run(optimizer, start, gradients)
    theta, step, last = start.astype("float64"), 0.0, 0.0
    for update, g in enumerate(gradients.astype("float64")):
        z = reference.draw(optimizer, 0, update, theta.shape)
        push = np.sqrt(2 * (1 - momentum) * rate * temperature) * z
        step = momentum * step - rate * g + (push + last) / 2
        theta, last = theta + step, push
        np.testing.assert_allclose(values[update], theta, rtol=0, atol=3e-5)


def test_without_momentum_it_is_the_method_of_leimkuhler_and_matthews(start, gradients):
    rate, temperature = 0.05, 0.3
    optimizer = BAOA(rate, 0.0, temperature, seed=4)
    _, values = run(optimizer, start, gradients)
    theta, last = start.astype("float64"), 0.0
    for update, g in enumerate(gradients.astype("float64")):
        z = reference.draw(optimizer, 0, update, theta.shape)
        size = np.sqrt(2 * rate * temperature)
        theta, last = theta - rate * g + size * (z + last) / 2, z
        np.testing.assert_allclose(values[update], theta, rtol=0, atol=2e-5)


def test_it_is_the_splitting_in_the_papers_words(start, gradients):
    """Step h, friction gamma, mass one, N examples; the loss is their mean."""
    h, gamma, temperature, N = 0.3, 0.7, 0.5, 20
    momentum = np.exp(-gamma * h)
    rate = N * h**2 * (1 + momentum) / 2
    optimizer = BAOA(rate, momentum, temperature / N, seed=4)
    variable, values = run(optimizer, start, gradients)
    theta, p = start.astype("float64"), np.zeros_like(start, "float64")
    for update, g in enumerate(gradients.astype("float64")):
        z = reference.draw(optimizer, 0, update, theta.shape)
        p = p - h * N * g
        theta = theta + h / 2 * p
        variance = temperature * (1 - np.exp(-2 * gamma * h))
        p = np.exp(-gamma * h) * p + np.sqrt(variance) * z
        theta = theta + h / 2 * p
        np.testing.assert_allclose(values[update], theta, rtol=1e-4, atol=1e-4)
    slot = as_numpy(optimizer.slots(variable)[0])
    np.testing.assert_allclose(slot, h * p * (1 + momentum) / 2, rtol=1e-4, atol=1e-4)


def test_noise_of_the_first_step_is_half_of_sghmcs_and_half_comes_later():
    n, rate, momentum, temperature = 200_000, 0.03, 0.8, 0.5
    zeros = np.zeros((2, n))
    _, ours = run(BAOA(rate, momentum, temperature, seed=0), zeros[0], zeros)
    _, theirs = run(SGHMC(rate, momentum, temperature, seed=0), zeros[0], zeros)
    np.testing.assert_allclose(ours[0], theirs[0] / 2, rtol=0, atol=1e-6)
    # Of a push p: p / 2, then (1 + momentum) / 2 p; and the second push's half.
    push = 2 * (1 - momentum) * rate * temperature
    variance = push * ((1 + momentum / 2) ** 2 + 0.25)
    assert abs(ours[1].var(dtype="float64") / variance - 1) < 5 * np.sqrt(2 / n)


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan"), None, lambda: 0.9])
def test_wrong_momentum_is_named(value):
    with pytest.raises(ValueError, match="`momentum` must be .*Received: momentum"):
        BAOA(0.1, value, 0.0)
