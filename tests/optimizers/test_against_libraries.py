"""SGLD, SGHMC and BAOA beside BlackJAX's and posteriors', on known posteriors.

Each sampler runs many independent chains; their last states are compared after
a whitening by the exact posterior, in which every mean should be zero and the
covariance the identity, so that one bound serves all.

Parametrisations. Ours takes the gradient of a mean loss over N examples,
loss = -log posterior / N, and a temperature 1 / N. Both libraries take the gradient of
the log-posterior and a step size, here h:

    SGLD    theta + h grad log p + sqrt(2 h T) z
            learning_rate = N h, temperature = T / N
    SGHMC   theta + h m   and   m + h grad log p - h alpha m + sqrt(2 h alpha T) z
            With v = h m: learning_rate = N h^2, momentum = 1 - h alpha,
            temperature = T / N.
    BAOA    m + h grad log p, half of h m to theta, m exp(-h alpha) and noise of
            variance T (1 - exp(-2 h alpha)), the other half: posteriors alone.
            momentum = exp(-h alpha), learning_rate = N h^2 (1 + momentum) / 2,
            temperature = T / N.

In SGHMC both libraries move theta by the old m, which alone would only number them
anew; but they also take the gradient at the old theta, where Chen et al. and we take it
at the theta that this momentum led to. On a precision p that is our dynamics with the
momentum enlarged by h^2 p and the noise unchanged, so their variance is larger by
h alpha / (h alpha - h^2 p). The steps here make that 1.5 % at most. BlackJAX draws its
momenta afresh after every call of so many steps, so one call makes the whole chain.
"""

import keras
import numpy as np
import pytest

from keras_asgld import BAOA, SGHMC, SGLD
from tests.support.family import as_numpy

CHAINS = 20_000
STEPS = {"SGLD": 150, "SGHMC": 400, "BAOA": 150}


def correlated_gaussian():
    """Mean and precision of a Gaussian in two dimensions."""
    covariance = 0.005 * np.array([[1.0, 0.2], [0.2, 0.8]])
    return np.array([1.0, -2.0]), np.linalg.inv(covariance)


def bayesian_linear_regression():
    """The posterior of 60 observations of known noise, with a Gaussian prior."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3))
    noise, prior = 0.5, 2.0
    y = X @ [1.0, -0.5, 0.25] + noise * rng.normal(size=N)
    precision = X.T @ X / noise**2 + np.eye(3) / prior**2
    return np.linalg.solve(precision, X.T @ y / noise**2), precision


def both():
    """The two as independent parts of one target, which one chain samples."""
    (mean, precision), (other_mean, other) = (
        correlated_gaussian(),
        bayesian_linear_regression(),
    )
    joint = np.zeros((5, 5))
    joint[:2, :2], joint[2:, 2:] = precision, other
    return np.concatenate([mean, other_mean]), joint


N = 60
MEAN, PRECISION = both()
LARGEST = np.linalg.eigvalsh(PRECISION)[-1]
# SGLD widens by h p / 2, so by 2 % at most.
SETTINGS = {
    "SGLD": {"h": 0.04 / LARGEST},
    "SGHMC": {"h": np.sqrt(0.006 / LARGEST), "alpha": 0.4 / np.sqrt(0.006 / LARGEST)},
    # Of a step as large as one likes: SGHMC's would widen by 14 %.
    "BAOA": {"h": np.sqrt(0.5 / LARGEST), "alpha": 0.4 / np.sqrt(0.5 / LARGEST)},
}
# All chains start at the mean, so that what has to settle is the spread.
START = np.tile(MEAN.astype("float32"), (CHAINS, 1))


def ours(sampler, h, alpha=None):
    if sampler == "SGLD":
        optimizer = SGLD(N * h, 1 / N, seed=1)
    elif sampler == "SGHMC":
        optimizer = SGHMC(N * h**2, 1 - h * alpha, 1 / N, seed=1)
    else:
        momentum = np.exp(-h * alpha)
        rate = N * h**2 * (1 + momentum) / 2
        optimizer = BAOA(rate, momentum, 1 / N, seed=1)
    theta = keras.Variable(START)
    mean = keras.ops.convert_to_tensor(MEAN.astype("float32"))
    curvature = keras.ops.convert_to_tensor((PRECISION / N).astype("float32"))
    for _ in range(STEPS[sampler]):
        optimizer.apply([(theta - mean) @ curvature], [theta])
    return as_numpy(theta)


def blackjax(sampler, h, alpha=None):
    library = pytest.importorskip("blackjax", reason="needs the package blackjax")
    import jax

    mean, precision = MEAN.astype("float32"), PRECISION.astype("float32")

    def gradient(theta, _):
        return (mean - theta) @ precision

    if sampler == "SGLD":
        step = library.sgld(gradient).step
        keys = jax.random.split(jax.random.key(2), STEPS[sampler])

        @jax.jit
        def chain(theta):
            body = lambda theta, key: (step(key, theta, None, h), None)  # noqa: E731
            return jax.lax.scan(body, theta, keys)[0]

        return np.asarray(chain(START))
    step = library.sghmc(
        gradient, num_integration_steps=STEPS[sampler], alpha=alpha
    ).step
    return np.asarray(jax.jit(step)(jax.random.key(2), START, None, h))


def posteriors(sampler, h, alpha=None):
    library = pytest.importorskip("posteriors", reason="needs the package posteriors")
    import torch

    torch.manual_seed(3)
    mean, precision = (torch.tensor(x, dtype=torch.float32) for x in (MEAN, PRECISION))

    def log_posterior(theta, _):
        from_mean = theta - mean
        return -((from_mean @ precision) * from_mean).sum() / 2, torch.tensor([])

    if sampler == "SGLD":
        transform = library.sgmcmc.sgld.build(log_posterior, lr=h)
    else:
        build = getattr(library.sgmcmc, sampler.lower()).build
        transform = build(log_posterior, lr=h, alpha=alpha, momenta=0.0)
    state = transform.init(torch.tensor(START))
    threads = torch.get_num_threads()
    # Its many small operations wait for each other's threads on a busy machine.
    torch.set_num_threads(1)
    for _ in range(STEPS[sampler]):
        state, _ = transform.update(state, None)
    torch.set_num_threads(threads)
    return state.params.numpy()


@pytest.fixture(scope="module")
def our_chains():
    """Ours, once for both libraries."""
    return {sampler: ours(sampler, **SETTINGS[sampler]) for sampler in SETTINGS}


def moments(theta):
    """The mean and covariance in the coordinates where they should be 0 and 1."""
    white = (theta.astype("float64") - MEAN) @ np.linalg.cholesky(PRECISION)
    return white.mean(axis=0), np.cov(white.T)


@pytest.mark.parametrize(
    "library, sampler",
    [
        (blackjax, "SGLD"),
        (blackjax, "SGHMC"),
        *((posteriors, name) for name in SETTINGS),
    ],
)
def test_means_and_covariances_agree(our_chains, library, sampler):
    our_mean, our_covariance = moments(our_chains[sampler])
    their_mean, their_covariance = moments(library(sampler, **SETTINGS[sampler]))
    error = np.sqrt(1 / CHAINS)
    assert np.abs(our_mean - their_mean).max() < 5 * np.sqrt(2) * error
    difference = our_covariance - their_covariance
    assert np.abs(difference).max() < 5 * 2 * error
    # The mean of the five variances is the sharper test.
    assert abs(np.trace(difference) / 5) < 0.03
    # And both are the posterior, but for the 2 % that are the step's.
    for mean, covariance in [
        (our_mean, our_covariance),
        (their_mean, their_covariance),
    ]:
        assert np.abs(mean).max() < 5 * error
        assert np.abs(covariance - np.eye(5)).max() < 0.02 + 5 * np.sqrt(2) * error
