"""Exact posteriors, recovered from `examples`, `prior` and `temperature` alone.

Bayesian linear regression with noise of known variance has a Gaussian posterior in
closed form. One variable is 20,000 chains, all started at its mean; each sees the
gradient of the mean loss over all examples or over minibatches of its own. After
whitening by the exact posterior every mean should be 0 and the covariance the identity.

The learning rates are such that the samplers' own bias, which their docstrings derive,
is 1 to 2 %: with `a` the largest curvature of the mean loss, N / B batches in an epoch
and so gradient noise of variance s2 = a (1 / B - 1 / N), it is, in SGLD,
(rate a + rate s2 N) / 2, and in the others likewise.
"""

import keras
import numpy as np
import pytest

from keras_asgld import BAOA, PSGLD, SGHMC, SGLD, SGNHT, Prior
from tests.support.family import as_numpy

CHAINS = 20_000
NOISE = 0.5  # the standard deviation of the observations
SAMPLERS = {"SGLD": SGLD, "PSGLD": PSGLD, "SGHMC": SGHMC, "BAOA": BAOA, "SGNHT": SGNHT}


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


def settings(name, curvatures, noise):
    """Arguments of a sampler, and after how many steps it has forgotten its start.

    Args:
        curvatures: The eigenvalues of the posterior's mean loss.
        noise: What the gradient's variance is, as a share of what it is by itself in
            the posterior, aT / N.
    """
    low, high = curvatures[0], curvatures[-1]
    ratio = low / high
    if name == "SGLD":
        h = 0.024 / (1 + noise)
        return {"learning_rate": h / high}, 3 / (h * ratio)
    if name == "PSGLD":
        h = 0.015 / (1 + noise)
        return {"learning_rate": h, "rho": 0.9999}, 60 / h
    # The friction is a tenth.
    h = 0.02
    if name != "SGNHT" and noise:
        h = 0.003 / noise
    kwargs = {"learning_rate": h / high, "momentum": 0.9}
    if name == "SGNHT":
        kwargs["coupling"] = 0.002
    steps = max(3 * 0.1 / (h * ratio), 120)
    return kwargs, max(steps, 1500) if name == "SGNHT" else steps


def whitened(samples, mean, precision):
    white = (samples.astype("float64") - mean) @ np.linalg.cholesky(precision)
    return white.mean(axis=0), white.T @ white / len(white)


def sample(optimizer, start, gradient, steps):
    """Four snapshots of all chains, the last ones of a run of so many steps."""
    theta = keras.Variable(np.tile(start.astype("float32"), (CHAINS, 1)), name="theta")
    kept = []
    steps = int(steps)
    for step in range(1, steps + 1):
        g = keras.ops.convert_to_tensor(gradient(as_numpy(theta)))
        optimizer.apply([g], [theta])
        if step > steps / 2 and (steps - step) % (steps // 8) == 0:
            kept.append(as_numpy(theta).copy())
    return kept


def check(snapshots, mean, precision):
    moments = [whitened(each, mean, precision) for each in snapshots]
    center, covariance = (np.mean(x, axis=0) for x in zip(*moments, strict=True))
    size = len(center)
    error = 1 / np.sqrt(len(snapshots[0]))
    print(center / error, np.diag(covariance), np.trace(covariance) / size)
    assert np.abs(center).max() < 5 * error
    assert abs(np.trace(covariance) / size - 1) < 0.03
    assert np.abs(covariance - np.eye(size)).max() < 5 * np.sqrt(2) * error


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "N, sigma, batch, temperature, mean",
    [
        (20, 0.2, 20, None, None),
        (100, 0.08, 100, 0.25, None),
        (60, 0.15, 20, None, [1.0, 1.0, -1.0]),
        (60, None, 30, None, None),
    ],
)
def test_posterior_of_a_linear_regression(name, N, sigma, batch, temperature, mean):
    X, y = regression(N)
    T = 1.0 if temperature is None else temperature
    center, precision = closed_form(X, y, [sigma] * 3, mean or 0.0, T)
    A, c = mean_losses(X, y, batch)
    curvatures = np.linalg.eigvalsh(precision * T / N)
    kwargs, steps = settings(name, curvatures, noise=(N / batch - 1) / T)
    if name == "PSGLD":  # by the size of its gradients
        size = curvatures[-1] * T / N * (1 + (N / batch - 1) / T)
        kwargs["learning_rate"] *= np.sqrt(size) / curvatures[-1]
    prior = sigma
    if mean is not None:
        prior = Prior(sigma, mean=[np.tile(mean, (CHAINS, 1))])
    optimizer = SAMPLERS[name](
        **kwargs, temperature=temperature, examples=N, prior=prior, seed=5
    )
    rng = np.random.default_rng(2)

    def gradient(theta):
        if len(A) == 1:
            return theta @ A[0] - c[0]
        batches = rng.integers(len(A), size=CHAINS)
        return np.einsum("kij,kj->ki", A[batches], theta) - c[batches]

    check(sample(optimizer, center, gradient, steps), center, precision)
