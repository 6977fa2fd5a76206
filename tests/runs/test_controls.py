"""The study's controls against the equations they stand for, in float64."""

import keras
import numpy as np
import pytest

from keras_asgld import noise
from keras_asgld.runs.controls import Control

RHO, PSI, RATE = 0.8, 3.0, 0.05
SHAPES = [(40, 30), (7,)]


def reference(gradients, draws, mean, kind, size):
    """All variables after each step of ASGLD with parts exchanged."""
    theta = [np.ones(shape) for shape in SHAPES]
    mu = [np.zeros(shape) for shape in SHAPES]
    C = [np.zeros(shape) for shape in SHAPES]
    for step, draw in zip(gradients, draws, strict=True):
        for i, g in enumerate(step):
            old = mu[i]
            mu[i] = RHO * old + (1 - RHO) * g
            C[i] = RHO * C[i] + (1 - RHO) * (g - mu[i]) * (g - old)
        common = np.sqrt(np.mean(np.concatenate([c.ravel() for c in C])))
        for i, g in enumerate(step):
            deviation = {"own": np.sqrt(C[i]), "none": 0.0, "isotropic": common}[kind]
            xi = (mu[i] if mean else g) + size * deviation * draw[i]
            theta[i] = theta[i] - RATE * (g + PSI * xi)
    return theta


@pytest.mark.parametrize("kind", ["own", "none", "isotropic"])
@pytest.mark.parametrize("mean, size", [(True, 1.0), (False, 1.0), (True, 2.5)])
def test_twelve_steps_are_the_equations(mean, kind, size):
    rng = np.random.default_rng(3)
    optimizer = Control(
        mean=mean,
        kind=kind,
        size=size,
        learning_rate=RATE,
        momentum=RHO,
        noise=PSI,
        seed=5,
    )
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in SHAPES]
    optimizer.build(variables)
    words = keras.ops.convert_to_tensor(optimizer.noise_words)
    gradients, draws = [], []
    for update in range(12):
        # The two tensors differ in size: what is common to them must show.
        step = [rng.normal(0.3, s, n) for s, n in zip((0.1, 2.0), SHAPES, strict=True)]
        gradients.append([g.astype("float32").astype("float64") for g in step])
        count = keras.ops.convert_to_tensor(update, "int32")
        draws.append(
            [
                keras.ops.convert_to_numpy(
                    noise.normal(noise.noise_key(words[i], count), shape)
                )
                for i, shape in enumerate(SHAPES)
            ]
        )
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in step])
    expected = reference(gradients, draws, mean, kind, size)
    for variable, theta in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), theta, rtol=0, atol=2e-5)


def test_a_whole_control_is_asgld():
    from keras_asgld import ASGLD

    ends = []
    for cls in (ASGLD, Control):
        variable = keras.Variable(np.ones(50, "float32"))
        optimizer = cls(learning_rate=RATE, momentum=RHO, noise=PSI, seed=1)
        optimizer.build([variable])
        for _ in range(5):
            optimizer.apply([2 * variable.value])
        ends.append(variable.numpy())
    np.testing.assert_allclose(*ends, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"kind": "white"}, {"momentum": 0.0}])
def test_a_control_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be .* Received"):
        Control(**wrong)
