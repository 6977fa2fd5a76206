"""The optimizers of the package, and what most of their tests do with one."""

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, BAOA, PSGLD, SGHMC, SGLD, SGNHT, ScaleFreeASGLD
from tests.support import reference

# Each optimizer of the package: how the contract tests make one, and the numbers
# that its reference rule needs.
FAMILY = {
    "ASGLD": (ASGLD, {"learning_rate": 0.05, "momentum": 0.8, "noise": 1.5}),
    "SGLD": (SGLD, {"learning_rate": 0.05, "temperature": 0.02}),
    "PSGLD": (
        PSGLD,
        {"learning_rate": 0.05, "temperature": 0.02, "rho": 0.9, "epsilon": 0.01},
    ),
    "SGHMC": (SGHMC, {"learning_rate": 0.05, "momentum": 0.8, "temperature": 0.02}),
    "ScaleFreeASGLD": (
        ScaleFreeASGLD,
        {"learning_rate": 0.05, "momentum": 0.8, "noise": 1.5, "epsilon": 1e-7},
    ),
    "BAOA": (BAOA, {"learning_rate": 0.05, "momentum": 0.8, "temperature": 0.02}),
    "SGNHT": (
        SGNHT,
        {
            "learning_rate": 0.05,
            "momentum": 0.8,
            "temperature": 0.02,
            "coupling": 0.001,
        },
    ),
}

# Where only the way to a rule is tested and not the rule itself, these stand for all:
# no slot, slots, the count of steps, a number of the whole network. Others are slow.
TYPICAL = ("SGLD", "ASGLD", "ScaleFreeASGLD", "SGNHT")


def typical_members(names=FAMILY):
    """Names as a test's parameters, of which all but `TYPICAL` are slow."""
    slow = pytest.mark.slow
    return [n if n in TYPICAL else pytest.param(n, marks=slow) for n in names]


class Member:
    """One optimizer class under the contract tests."""

    def __init__(self, name):
        self.name = name
        self.cls, self.numbers = FAMILY[name]

    def __call__(self, **kwargs):
        return self.cls(**{**self.numbers, "seed": 7, **kwargs})


def as_numpy(variable):
    return keras.ops.convert_to_numpy(variable)


def run(optimizer, start, gradients, dtype="float32"):
    """Applies the gradients to one variable; returns it and its value after each."""
    variable = keras.Variable(start, dtype=dtype, name="weight")
    values = []
    for gradient in gradients:
        gradient = keras.ops.convert_to_tensor(gradient, dtype)
        optimizer.apply([gradient], [variable])
        values.append(as_numpy(variable))
    return variable, np.stack(values)


def check(member, optimizer, start, values, gradients, **changed):
    """The values are those of the reference rule under these gradients."""
    numbers = {**member.numbers, **changed}
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    expected = np.stack([state[0] for state in states])
    np.testing.assert_allclose(values, expected, rtol=0, atol=3e-5)


def small_model(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh", name="hidden"),
            keras.layers.Dense(1, name="output"),
        ]
    )


def regression_data(n=64):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, (x @ [1.0, -2.0, 0.5, 0.0])[:, None].astype("float32")


def run_in_xla(optimizer, start, gradients):
    """As `run`, with each whole step compiled by XLA; returns the values alone."""
    variable = keras.Variable(start, name="weight")
    optimizer.build([variable])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda g: optimizer.apply([g], [variable]), jit_compile=True)
        values = []
        for gradient in gradients:
            step(tf.convert_to_tensor(gradient))
            values.append(as_numpy(variable))
        return np.stack(values)
    if keras.backend.backend() == "jax":
        import jax

        step = jax.jit(
            lambda state, g, weights: optimizer.stateless_apply(state, g, weights)
        )
        weights, state = [variable.value], [v.value for v in optimizer.variables]
        values = []
        for gradient in gradients:
            weights, state = step(state, [gradient], weights)
            values.append(as_numpy(weights[0]))
        return np.stack(values)
    return pytest.skip("PyTorch has no XLA here")
