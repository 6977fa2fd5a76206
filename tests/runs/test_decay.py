import keras
import numpy as np
import pytest

from keras_asgld.runs import optimizers as named
from keras_asgld.runs.decay import coupled

START = np.array([1.0, -2.0, 0.5], "float32")
GRADIENTS = np.array([[0.3, -0.1, 0.0], [0.2, 0.4, -1.0], [-0.5, 0.1, 0.2]], "float32")
DECAY = 0.1


def trajectory(optimizer):
    variable = keras.Variable(START)
    optimizer.build([variable])
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return keras.ops.convert_to_numpy(variable)


def momentum_by_hand(decay_in_gradient, decay_beside_it):
    theta, velocity = START.astype("float64"), np.zeros(3)
    for gradient in GRADIENTS:
        start = theta
        velocity = 0.9 * velocity - 0.1 * (gradient + decay_in_gradient * theta)
        theta = start + velocity - 0.1 * decay_beside_it * start
    return theta


def momentum_settings(make_settings, mode):
    return make_settings(
        "momentum", weight_decay=DECAY, weight_decay_mode=mode, drop_epochs=[]
    )


@pytest.mark.parametrize("mode", ["coupled", "decoupled"])
def test_each_mode_is_its_own_equation(make_settings, mode):
    optimizer = named.make(momentum_settings(make_settings, mode), 3)
    expected = momentum_by_hand(
        DECAY if mode == "coupled" else 0, DECAY if mode == "decoupled" else 0
    )
    np.testing.assert_allclose(trajectory(optimizer), expected, rtol=1e-6)


def test_coupled_decay_passes_through_adams_moments():
    theta = START.astype("float64")
    m = v = np.zeros(3)
    for t, gradient in enumerate(GRADIENTS, 1):
        g = gradient + DECAY * theta
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = theta - rate * m / (np.sqrt(v) + 1e-8)
    optimizer = coupled(keras.optimizers.Adam, DECAY)(0.01, epsilon=1e-8)
    np.testing.assert_allclose(trajectory(optimizer), theta, rtol=1e-5)


def test_coupled_decay_reaches_variables_that_are_updated_together():
    from keras_asgld import SGHMC

    def trajectories(optimizer, decay):
        variables = [keras.Variable(START), keras.Variable(2 * START[:2])]
        optimizer.build(variables)
        for gradient in GRADIENTS:
            gradients = [
                keras.ops.convert_to_tensor(gradient[: v.shape[0]]) + decay * v
                for v in variables
            ]
            optimizer.apply(gradients)
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    arguments = {"learning_rate": 0.1, "momentum": 0.9, "temperature": 0.01, "seed": 0}
    mine = trajectories(coupled(SGHMC, DECAY)(**arguments), 0.0)
    for one, other in zip(mine, trajectories(SGHMC(**arguments), DECAY), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_coupled_decay_enters_asglds_mean_and_variance():
    from keras_asgld import ASGLD

    def with_gradients_of(decay):
        theta, mu, c = START.astype("float64"), np.zeros(3), np.zeros(3)
        for gradient in GRADIENTS:
            g = gradient + decay * theta
            delta = g - mu
            mu = mu + 0.1 * delta
            c = 0.9 * c + 0.09 * delta**2
            theta = theta - 0.1 * (g + 2.0 * mu)
        return theta

    optimizer = coupled(ASGLD, DECAY)(0.1, momentum=0.9, noise=2.0, seed=0)
    optimizer.exclude_from_noise(var_names=[".*"])
    np.testing.assert_allclose(
        trajectory(optimizer), with_gradients_of(DECAY), rtol=1e-5
    )


def test_automatic_mode_is_the_protocols(make_settings):
    modes = {name: make_settings(name).weight_decay_mode for name in named.OPTIMIZERS}
    decoupled = {name for name, mode in modes.items() if mode == "decoupled"}
    assert decoupled == {"asgld", "asgld-paper", "scale-free-asgld", "adamw", "lion"}
