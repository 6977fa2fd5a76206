"""PSGLD against Keras's Adam and its own bounds; its laws are in test_laws.py."""

import keras
import numpy as np
import pytest

from keras_asgld import PSGLD
from tests.support.family import as_numpy, regression_data, run
from tests.support.graphs import one_graph


def test_at_temperature_zero_it_is_keras_adam_without_momentum(start, gradients):
    # Both epsilons are below every rounding here.
    _, ours = run(PSGLD(0.05, 0.0, rho=0.9, epsilon=1e-30), start, gradients)
    adam = keras.optimizers.Adam(0.05, beta_1=0.0, beta_2=0.9, epsilon=1e-30)
    _, theirs = run(adam, start, gradients)
    # Two roundings a step of steps below 0.2.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 2 * 2.0**-22)


def test_after_its_start_it_is_keras_rmsprop_but_for_epsilon(start, gradients):
    # The bias correction has lapsed where the update count is large.
    optimizer = PSGLD(0.05, 0.0, rho=0.9, epsilon=1e-30)
    rmsprop = keras.optimizers.RMSprop(0.05, rho=0.9, epsilon=1e-37)
    for each in (optimizer, rmsprop):
        each._iterations.assign(1000)
    _, ours = run(optimizer, start, gradients)
    _, theirs = run(rmsprop, start, gradients)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=60 * 2 * 2.0**-22)


def test_epsilon_stands_outside_the_square_root():
    epsilon, g, rho = 0.5, 2.0, 0.75
    _, values = run(PSGLD(0.1, 0.0, rho, epsilon), np.zeros(3), np.full((1, 3), g))
    # The first velocity is unbiased: g**2.
    expected = -0.1 * g / (epsilon + g)
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
    variable = keras.Variable(np.zeros((2, n), "float32"))
    optimizer.build([variable])
    # After as many steps the noise is no longer bounded; these start anew.
    optimizer._iterations.assign(1000)
    optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32"))], [variable])
    value = as_numpy(variable)
    G = 1 / (epsilon + np.sqrt((1 - rho) * g[:, 0] ** 2))
    mean, variance = value.mean(axis=1, dtype="float64"), value.var(axis=1)
    expected = 2 * rate * temperature * G
    assert (abs(mean + rate * G * g[:, 0]) < 5 * np.sqrt(expected / n)).all()
    assert (abs(variance / expected - 1) < 5 * np.sqrt(2 / n)).all()


# The first steps, while the velocity is young


def test_noise_of_the_first_steps_is_bounded_by_the_longest_step_of_the_drift():
    n, rate, rho = 100_000, 0.01, 0.99
    optimizer = PSGLD(rate, 1.0, rho=rho, seed=0)
    # Gradients of zero, for which G is 1 / epsilon.
    _, values = run(optimizer, np.zeros(n), np.zeros((40, n)))
    for t in (1, 40):
        noise = (values[t - 1] - values[t - 2] if t > 1 else values[0]).astype(
            "float64"
        )
        bound = rate * np.sqrt((1 - rho**t) / (1 - rho)) / rho**t
        assert abs(noise.std() / bound - 1) < 5 / np.sqrt(2 * n)


def test_first_step_of_a_network_is_no_larger_than_five_times_that_without_noise():
    def moved(temperature):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(64, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )
        model.compile(PSGLD(1e-3, temperature, seed=0), "mse")
        before = np.concatenate(
            [as_numpy(v).ravel() for v in model.trainable_variables]
        )
        x, y = regression_data()
        model.fit(x, y, batch_size=len(x), epochs=1, verbose=0)
        after = np.concatenate([as_numpy(v).ravel() for v in model.trainable_variables])
        return np.linalg.norm(after - before)

    still = moved(0.0)
    # The learning rate for each of 385 weights.
    assert 0 < still < 1.01e-3 * np.sqrt(385)
    assert 0 < moved(1 / 64) < 5 * still
    assert moved(1.0) < 5 * still


def banana_gradient(x, y):
    """Of -log p where x is standard normal and y of mean (x**2 - 1) / 2, variance 1."""
    off = y - (x**2 - 1) / 2
    return x - off * x, off


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.02])
def test_with_noise_from_the_first_step_the_banana_is_sampled(rate):
    """From about the middle, and from where the gradient by x is exactly zero.

    Were the noise not bounded, the averages of x**2 would be 3 and 100.
    """
    n, steps = 1500, 3000
    start = np.random.default_rng(0).normal(0, 0.5, (2, 2, n)).astype("float32")
    start[1] = 0
    optimizer = PSGLD(rate, 1.0, seed=3)
    theta = keras.Variable(start)
    optimizer.build([theta])

    def step():
        x, y = theta[:, 0], theta[:, 1]
        gradient = keras.ops.stack(banana_gradient(x, y), axis=1)
        optimizer.apply([gradient], [theta])

    move = one_graph(step, [theta, *optimizer.variables])
    squares, farthest = np.zeros((2, 2)), 0.0
    for _ in range(steps):
        move()
        value = as_numpy(theta).astype("float64")
        # Averages over all steps, the first included.
        squares += (value**2).mean(axis=2) / steps
        farthest = max(farthest, abs(value).max())
    assert (abs(squares[:, 0] - 1) < 0.1).all()
    assert (abs(squares[:, 1] - 1.5) < 0.15).all()
    assert farthest < 20


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
