"""SGHMC against Keras's SGD with momentum; its laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import SGHMC, SGLD
from tests.support.family import as_numpy, run, run_in_xla


@pytest.mark.parametrize("learning_rate, momentum", [(0.05, 0.9), (0.013, 0.7)])
def test_at_temperature_zero_it_is_keras_momentum_sgd_to_the_bit_in_xla(
    start, gradients, learning_rate, momentum
):
    ours = run_in_xla(SGHMC(learning_rate, momentum, 0.0), start, gradients)
    sgd = keras.optimizers.SGD(learning_rate, momentum=momentum)
    np.testing.assert_array_equal(ours, run_in_xla(sgd, start, gradients))


def test_with_exact_products_it_is_keras_momentum_sgd_everywhere(start, gradients):
    _, ours = run(SGHMC(0.0625, 0.5, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.0625, momentum=0.5), start, gradients)
    np.testing.assert_array_equal(ours, theirs)


def test_elsewhere_it_is_keras_momentum_sgd_to_rounding(start, gradients):
    _, ours = run(SGHMC(0.05, 0.9, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.05, momentum=0.9), start, gradients)
    # A rounding of a product below 1 a step, lasting ten steps in the momentum.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 10 * 2.0**-24)


def test_without_momentum_it_is_sgld(start, gradients):
    _, ours = run(SGHMC(0.05, 0.0, 0.3, seed=4), start, gradients)
    _, sgld = run(SGLD(0.05, 0.3, seed=4), start, gradients)
    np.testing.assert_allclose(ours, sgld, rtol=0, atol=2e-5)


def test_noise_of_a_step_balances_the_friction():
    n, rate, momentum, temperature = 200_000, 0.03, 0.8, 0.5
    optimizer = SGHMC(rate, momentum, temperature, seed=0)
    variable, values = run(optimizer, np.zeros(n), np.ones((1, n)))
    push = values[0].astype("float64") + rate
    expected = 2 * (1 - momentum) * rate * temperature
    assert abs(push.mean()) < 5 * np.sqrt(expected / n)
    assert abs(push.var() / expected - 1) < 5 * np.sqrt(2 / n)
    np.testing.assert_array_equal(as_numpy(optimizer.slots(variable)[0]), values[0])


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan"), None, lambda: 0.9])
def test_wrong_momentum_is_named(value):
    with pytest.raises(ValueError, match="`momentum` must be .*Received: momentum"):
        SGHMC(0.1, value, 0.0)
