"""SGLD against Keras's SGD; its laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import SGLD
from tests.support.family import run, run_in_xla


@pytest.mark.parametrize("learning_rate", [0.05, 0.013])
def test_at_temperature_zero_it_is_keras_sgd_to_the_bit_in_xla(
    start, gradients, learning_rate
):
    ours = run_in_xla(SGLD(learning_rate, 0.0), start, gradients)
    theirs = run_in_xla(keras.optimizers.SGD(learning_rate), start, gradients)
    np.testing.assert_array_equal(ours, theirs)


def test_with_exact_products_it_is_keras_sgd_to_the_bit_everywhere(start, gradients):
    _, ours = run(SGLD(0.0625, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.0625), start, gradients)
    np.testing.assert_array_equal(ours, theirs)


def test_elsewhere_it_differs_from_keras_sgd_by_a_rounding_a_step(start, gradients):
    _, ours = run(SGLD(0.05, 0.0), start, gradients[:1])
    _, theirs = run(keras.optimizers.SGD(0.05), start, gradients[:1])
    np.testing.assert_array_max_ulp(ours, theirs, maxulp=1)


def test_noise_of_a_step_has_variance_two_learning_rate_temperature():
    n, learning_rate, temperature = 200_000, 0.03, 0.5
    _, values = run(
        SGLD(learning_rate, temperature, seed=0), np.zeros(n), np.ones((1, n))
    )
    noise = values[0].astype("float64") + learning_rate
    expected = 2 * learning_rate * temperature
    assert abs(noise.mean()) < 5 * np.sqrt(expected / n)
    assert abs(noise.var() / expected - 1) < 5 * np.sqrt(2 / n)
