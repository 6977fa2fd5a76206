"""SGNHT against SGHMC, and what its thermostats do; laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import SGHMC, SGNHT
from tests.support.family import as_numpy, run
from tests.support.graphs import one_graph


def slots_of(optimizer, variable):
    return [as_numpy(slot).astype("float64") for slot in optimizer.slots(variable)]


def test_without_coupling_it_is_sghmc(start, gradients):
    _, ours = run(SGNHT(0.05, 0.9, 0.3, coupling=0.0, seed=4), start, gradients)
    _, sghmc = run(SGHMC(0.05, 0.9, 0.3, seed=4), start, gradients)
    np.testing.assert_allclose(ours, sghmc, rtol=0, atol=60 * 10 * 2.0**-24)


def test_at_temperature_zero_it_is_keras_momentum_sgd(start, gradients):
    variable, ours = run(optimizer := SGNHT(0.05, 0.9, 0.0), start, gradients)
    _, theirs = run(keras.optimizers.SGD(0.05, momentum=0.9), start, gradients)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 10 * 2.0**-24)
    np.testing.assert_array_equal(slots_of(optimizer, variable)[1], 0)


def test_one_step_of_the_thermostat():
    n, rate, momentum, temperature, coupling = 1000, 0.03, 0.8, 0.5, 0.01
    optimizer = SGNHT(rate, momentum, temperature, coupling, seed=0)
    variable, _ = run(optimizer, np.zeros(n), np.ones((1, n)))
    v, xi = slots_of(optimizer, variable)
    # A free particle's momentum has the variance 2 η T / (1 + ρ).
    heat = v**2 * (1 + momentum) / (2 * rate * temperature)
    np.testing.assert_allclose(xi, coupling * (heat - 1), rtol=0, atol=1e-7)


def test_a_far_start_is_braked_and_not_turned_about():
    """A hundred standard deviations away, on a quadratic of curvature one."""
    n, momentum = 2000, 0.9
    optimizer = SGNHT(0.01, momentum, 1.0, seed=1)
    theta = keras.Variable(np.full(n, 100.0, "float32"))
    last = as_numpy(theta)
    optimizer.build([theta])
    state = [theta, *optimizer.variables]
    move = one_graph(lambda: optimizer.apply([theta], [theta]), state)
    for step in range(2500):
        move()
        if step < 100:
            now = as_numpy(theta)
            assert (now < last + 1).all() and (now > 0).all()
            last = now
    assert np.max(slots_of(optimizer, theta)[1]) <= np.float32(momentum)
    x = as_numpy(theta).astype("float64")
    assert abs(x.mean()) < 5 / np.sqrt(n)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / n)


def test_friction_never_exceeds_one():
    optimizer = SGNHT(0.1, 0.9, 1e-8, coupling=1.0, seed=1)
    variable, values = run(optimizer, np.zeros(8), np.ones((30, 8)))
    assert (slots_of(optimizer, variable)[1] <= np.float32(0.9)).all()
    # With a friction of one it is gradient descent.
    np.testing.assert_allclose(np.diff(values[5:], axis=0), -0.1, rtol=0, atol=1e-3)


def test_an_excluded_variable_is_not_heated():
    """A thermostat would take away its friction until it moved."""
    optimizer = SGNHT(0.1, 0.9, 1.0, coupling=0.05, seed=1)
    optimizer.exclude_from_noise(var_names=["weight"])
    theta = keras.Variable(np.ones(4, "float32"), name="weight")
    optimizer.build([theta])
    state = [theta, *optimizer.variables]
    move = one_graph(lambda: optimizer.apply([theta], [theta]), state)
    for _ in range(400):
        move()
    np.testing.assert_allclose(as_numpy(theta), 0, atol=1e-6)
    np.testing.assert_array_equal(slots_of(optimizer, theta)[1], 0)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("momentum", None),
        ("coupling", -1e-9),
        ("coupling", float("inf")),
        ("coupling", lambda: 1e-3),
    ],
)
def test_wrong_numbers_are_named(argument, value):
    numbers = {"learning_rate": 0.1, "momentum": 0.9, "temperature": 0.0}
    received = f"`{argument}` must be .*Received: {argument}"
    with pytest.raises(ValueError, match=received):
        SGNHT(**{**numbers, argument: value})
