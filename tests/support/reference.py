"""The update rules in float64 NumPy, written as the papers write them."""

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


def psgld(theta, slots, g, z, learning_rate, temperature, rho, epsilon):
    (V,) = slots
    V = rho * V + (1 - rho) * g * g
    G = 1 / (epsilon + np.sqrt(V))
    noise_variance = 2 * learning_rate * temperature * G
    return theta - learning_rate * G * g + np.sqrt(noise_variance) * z, [V]


def sghmc(theta, slots, g, z, learning_rate, momentum, temperature):
    (v,) = slots
    alpha = 1 - momentum
    noise_variance = 2 * alpha * learning_rate * temperature
    v = v - learning_rate * g - alpha * v + np.sqrt(noise_variance) * z
    return theta + v, [v]


RULES = {
    "ASGLD": (asgld, 2),
    "SGLD": (sgld, 0),
    "PSGLD": (psgld, 1),
    "SGHMC": (sghmc, 1),
}


def draw(optimizer, index, update, shape):
    """The standard normal draw of one variable at one update, as float64."""
    words = ops.convert_to_tensor(optimizer.noise_words)[index]
    key = noise.noise_key(words, ops.convert_to_tensor(update, "int32"))
    z = noise.normal(key, tuple(shape))
    return ops.convert_to_numpy(z).astype("float64")


def trajectory(optimizer, theta, gradients, index=0, **hyperparameters):
    """All states of one variable under a sequence of gradients.

    Hyperparameters are numbers, or functions of the update count.
    """
    rule, slot_count = RULES[type(optimizer).__name__]
    theta = np.asarray(theta, "float64")
    slots = [np.zeros_like(theta)] * slot_count
    states = []
    for update, g in enumerate(gradients):
        z = draw(optimizer, index, update, theta.shape)
        values = {
            name: value(update) if callable(value) else value
            for name, value in hyperparameters.items()
        }
        theta, slots = rule(theta, slots, np.asarray(g, "float64"), z, **values)
        states.append((theta, *slots))
    return states
