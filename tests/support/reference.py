"""The update rules in float64 NumPy, written as the papers write them."""

import functools
import inspect

import numpy as np
from keras import ops

from keras_asgld import noise


def asgld(theta, slots, g, z, learning_rate, momentum, noise):
    old_mu, C = slots
    mu = momentum * old_mu + (1 - momentum) * g
    C = momentum * C + (1 - momentum) * (g - mu) * (g - old_mu)
    xi = mu + np.sqrt(C) * z
    return theta - learning_rate * (g + noise * xi), [mu, C]


def sgld(theta, slots, g, z, learning_rate, temperature):
    noise_variance = 2 * learning_rate * temperature
    return theta - learning_rate * g + np.sqrt(noise_variance) * z, []


def scale_free_asgld(theta, slots, g, z, t, learning_rate, momentum, noise, epsilon):
    old_mu, C = slots
    mu = momentum * old_mu + (1 - momentum) * g
    C = momentum * C + (1 - momentum) * (g - mu) * (g - old_mu)
    v_hat = (C + mu * mu) / (1 - momentum**t)
    xi = mu + np.sqrt(C) * z
    step = learning_rate * (g + noise * xi) / (np.sqrt(v_hat) + epsilon)
    return theta - step, [mu, C]


def psgld(theta, slots, g, z, t, learning_rate, temperature, rho, epsilon):
    (V,) = slots
    V = rho * V + (1 - rho) * g * g
    G = 1 / (epsilon + np.sqrt(V / (1 - rho**t)))
    longest = learning_rate * np.sqrt((1 - rho**t) / (1 - rho))
    bound = longest / rho**t if rho**t > 1e-30 else np.inf
    size = np.minimum(np.sqrt(2 * learning_rate * temperature * G), bound)
    return theta - learning_rate * G * g + size * z, [V]


def sghmc(theta, slots, g, z, learning_rate, momentum, temperature):
    (v,) = slots
    alpha = 1 - momentum
    noise_variance = 2 * alpha * learning_rate * temperature
    v = v - learning_rate * g - alpha * v + np.sqrt(noise_variance) * z
    return theta + v, [v]


def baoa(theta, slots, g, z, learning_rate, momentum, temperature):
    """In half steps; p is in units of theta and h is the step squared."""
    (u,) = slots
    h = 2 * learning_rate / (1 + momentum)
    p = 2 * u / (1 + momentum)
    p = p - h * g
    theta = theta + p / 2
    p = momentum * p + np.sqrt((1 - momentum**2) * h * temperature) * z
    theta = theta + p / 2
    return theta, [p * (1 + momentum) / 2]


def sgnht(theta, slots, g, z, learning_rate, momentum, temperature, coupling):
    v, excess = slots
    friction = 1 - momentum + excess
    noise_variance = 2 * (1 - momentum) * learning_rate * temperature
    v = v - friction * v - learning_rate * g + np.sqrt(noise_variance) * z
    if temperature > 0 and np.any(z):  # without noise there is no thermostat
        equilibrium = learning_rate * temperature / (1 - friction / 2)
        excess = excess + coupling * (v * v / equilibrium - 1)
        excess = np.minimum(excess, momentum)
    return theta + v, [v, excess]


RULES = {
    "ASGLD": (asgld, 2),
    "SGLD": (sgld, 0),
    "PSGLD": (psgld, 1),
    "SGHMC": (sghmc, 1),
    "ScaleFreeASGLD": (scale_free_asgld, 2),
    "BAOA": (baoa, 1),
    "SGNHT": (sgnht, 2),
}


def draw(optimizer, index, update, shape):
    """The standard normal draw of one variable at one update, as float64."""
    words = ops.convert_to_numpy(optimizer.noise_words)[index]
    return _drawn(tuple(words.tolist()), int(update), tuple(shape)).copy()


# Most tests ask for the same sixty draws of one seed, each of dozens of operations.
@functools.lru_cache(512)
def _drawn(words, update, shape):
    words = ops.convert_to_tensor(np.array(words, "int32"))
    key = noise.noise_key(words, ops.convert_to_tensor(update, "int32"))
    return ops.convert_to_numpy(noise.normal(key, shape)).astype("float64")


def step(name, update, theta, slots, g, z, **numbers):
    """One step of the rule of an optimizer's name at an update count from 0."""
    rule, _ = RULES[name]
    if "t" in inspect.signature(rule).parameters:
        numbers["t"] = update + 1
    return rule(theta, slots, np.asarray(g, "float64"), z, **numbers)


def trajectory(optimizer, theta, gradients, index=0, noisy=True, **hyperparameters):
    """All states of one variable under a sequence of gradients.

    Hyperparameters are numbers, or functions of the update count.
    """
    name = type(optimizer).__name__
    theta = np.asarray(theta, "float64")
    slots = [np.zeros_like(theta)] * RULES[name][1]
    states = []
    for update, g in enumerate(gradients):
        z = draw(optimizer, index, update, theta.shape) * noisy
        numbers = {
            key: value(update) if callable(value) else value
            for key, value in hyperparameters.items()
        }
        theta, slots = step(name, update, theta, slots, g, z, **numbers)
        states.append((theta, *slots))
    return states
