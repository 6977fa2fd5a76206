"""Exact posteriors, recovered from `examples`, `prior` and `temperature` alone.

Bayesian linear regression with noise of known variance has a Gaussian posterior in
closed form. One variable is 8,000 chains, all started at its mean; each sees the
gradient of the mean loss over all examples or over minibatches of its own. After
whitening by the exact posterior every mean should be 0 and the covariance the identity.

The learning rates are such that the samplers' own bias, which their docstrings derive,
is 2 % at most: with `a` the largest curvature of the mean loss and gradient noise of
variance s2 it is (rate a + rate s2 N / T) / 2 in SGLD, and likewise in the others.
s2 is a (1 / B - 1 / N), since the gradients of single examples have the variance `a`.
The variance's standard error is 0.9 % from one snapshot of three directions, of which
there are four.
"""

import keras
import numpy as np
import pytest

from keras_asgld import BAOA, PSGLD, SGHMC, SGLD, SGNHT, Prior
from tests.support.family import as_numpy
from tests.support.graphs import one_graph

CHAINS = 8_000
NOISE = 0.5  # the standard deviation of the observations
SAMPLERS = {"SGLD": SGLD, "PSGLD": PSGLD, "SGHMC": SGHMC, "BAOA": BAOA, "SGNHT": SGNHT}
# These two have to learn the gradients' size or their noise first.
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("PSGLD", "SGNHT") else name
    for name in SAMPLERS
]


def regression(N):
    rng = np.random.default_rng(N)
    X = rng.normal(size=(N, 3))
    return X, X @ [1.0, -0.5, 0.25] + NOISE * rng.normal(size=N)


def closed_form(X, y, sigmas, mean=0.0, temperature=1.0):
    """Mean and precision of the posterior, cold where the temperature is below one."""
    prior = np.diag([sigma and sigma**-2.0 or 0.0 for sigma in sigmas])
    precision = X.T @ X / NOISE**2 + prior
    center = X.T @ y / NOISE**2 + prior @ np.broadcast_to(mean, len(sigmas))
    return np.linalg.solve(precision, center), precision / temperature


def mean_losses(X, y, batch):
    """Curvatures A and pulls c of mean losses over batches, gradient A theta - c.

    The batches are those of 64 shuffled epochs.
    """
    rng = np.random.default_rng(1)
    N = len(y)
    epochs = 1 if batch == N else 64
    batches = np.concatenate(
        [rng.permutation(N).reshape(-1, batch) for _ in range(epochs)]
    )
    parts = X[batches], y[batches]
    A = np.einsum("kbi,kbj->kij", parts[0], parts[0]) / (batch * NOISE**2)
    c = np.einsum("kbi,kb->ki", *parts) / (batch * NOISE**2)
    return A.astype("float32"), c.astype("float32")


def settings(name, curvatures, heat, noise=0.0):
    """Arguments of a sampler, and after how many steps it has forgotten its start.

    Args:
        curvatures: The eigenvalues of the mean loss and its prior.
        heat: The temperature over the number of examples.
        noise: The variance of the gradient's noise, as a share of the variance `a heat`
            that the gradient has in the posterior by itself.
    """
    low, high = curvatures[0], curvatures[-1]
    if name == "SGLD":
        h = 0.024 / (1 + noise)
        return {"learning_rate": h / high}, 3 / h * high / low
    if name == "PSGLD":
        # Its step is in units of the gradient's size; it has to learn that first.
        size = np.sqrt(high * heat * (1 + noise))
        return {"learning_rate": 0.015 / (1 + noise) * size / high}, 4000
    h = 0.003 / noise if noise and name != "SGNHT" else 0.02
    steps = max(3 * 0.1 / h * high / low, 120)
    arguments = {"learning_rate": h / high, "momentum": 0.9}
    if name == "SGNHT":
        return {**arguments, "coupling": 0.002}, max(steps, 1500)
    return arguments, steps


def whitened(samples, mean, precision):
    white = (samples.astype("float64") - mean) @ np.linalg.cholesky(precision)
    return white.mean(axis=0), white.T @ white / len(white)


def sample(optimizer, start, gradient, steps):
    """Four snapshots of all chains, the last ones of a run of so many steps."""
    theta = keras.Variable(np.tile(start.astype("float32"), (CHAINS, 1)), name="theta")
    optimizer.build([theta])
    state = [theta, *optimizer.variables]
    move = one_graph(lambda g: optimizer.apply([g], [theta]), state)
    kept = []
    steps = int(steps)
    for step in range(1, steps + 1):
        move(keras.ops.convert_to_tensor(gradient(as_numpy(theta))))
        if step > steps / 2 and (steps - step) % (steps // 8) == 0:
            kept.append(as_numpy(theta).copy())
    return kept


def check(snapshots, mean, precision):
    moments = [whitened(each, mean, precision) for each in snapshots]
    center, covariance = (np.mean(x, axis=0) for x in zip(*moments, strict=True))
    size = len(center)
    error = 1 / np.sqrt(len(snapshots[0]))
    assert np.abs(center).max() < 5 * error
    assert abs(np.trace(covariance) / size - 1) < 0.03
    assert np.abs(covariance - np.eye(size)).max() < 5 * np.sqrt(2) * error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "N, sigma, batch, temperature, mean",
    [
        (20, 0.2, 20, None, None),
        pytest.param(100, 0.08, 100, 0.25, None, marks=pytest.mark.slow),
        (60, 0.15, 20, None, [1.0, 1.0, -1.0]),
        pytest.param(60, None, 30, None, None, marks=pytest.mark.slow),
    ],
)
def test_posterior_of_a_linear_regression(name, N, sigma, batch, temperature, mean):
    X, y = regression(N)
    T = 1.0 if temperature is None else temperature
    center, precision = closed_form(X, y, [sigma] * 3, mean or 0.0, T)
    A, c = mean_losses(X, y, batch)
    curvatures = np.linalg.eigvalsh(precision * T / N)
    arguments, steps = settings(name, curvatures, T / N, (N / batch - 1) / T)
    prior = sigma
    if mean is not None:
        prior = Prior(sigma, mean=[np.tile(mean, (CHAINS, 1))])
    optimizer = SAMPLERS[name](
        **arguments, temperature=temperature, examples=N, prior=prior, seed=5
    )
    rng = np.random.default_rng(2)

    def gradient(theta):
        if len(A) == 1:
            return theta @ A[0] - c[0]
        batches = rng.integers(len(A), size=CHAINS)
        return np.einsum("kij,kj->ki", A[batches], theta) - c[batches]

    check(sample(optimizer, center, gradient, steps), center, precision)


@pytest.mark.parametrize("name", NAMES)
def test_posterior_of_a_model_with_a_prior_for_each_layer(name):
    """A dense layer of 8,000 outputs is as many regressions with an intercept."""
    N, sigmas = 30, {"bias": 0.05, "kernel": 0.2}
    X, y = regression(N)
    y = y + 0.3
    design = np.concatenate([X, np.ones((N, 1))], axis=1)
    mean, precision = closed_form(design, y, [0.2, 0.2, 0.2, 0.05])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(CHAINS)])
    arguments, steps = settings(name, np.linalg.eigvalsh(precision / N), 1 / N)

    def negative_log_likelihood(y_true, y_pred):
        squares = keras.ops.square(y_true - y_pred)
        return keras.ops.sum(squares, axis=-1) / (2 * NOISE**2)

    model.compile(
        SAMPLERS[name](**arguments, examples=N, prior=sigmas, seed=5),
        negative_log_likelihood,
    )
    start = np.tile(mean[:, None], (1, CHAINS))
    model.set_weights([start[:3], start[3]])
    x = keras.ops.convert_to_tensor(X.astype("float32"))
    y = keras.ops.convert_to_tensor(np.tile(y[:, None], (1, CHAINS)).astype("float32"))
    snapshots, steps = [], int(steps)
    for step in range(1, steps + 1):
        model.train_on_batch(x, y)
        if step > steps / 2 and (steps - step) % (steps // 8) == 0:
            kernel, bias = model.get_weights()
            snapshots.append(np.concatenate([kernel, bias[None]]).T)
    check(snapshots, mean, precision)
