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

Said in words, ours takes the gradient of the mean negative log-likelihood, `examples=N`
and `prior=sigma`, and makes of these log posterior = -N loss - theta^2 / (2 sigma^2),
which is what the libraries' users write out; learning_rate and momentum are as above.

In SGHMC both libraries move theta by the old m, which alone would only number them
anew; but they also take the gradient at the old theta, where Chen et al. and we take it
at the theta that this momentum led to. On a precision p that is our dynamics with the
momentum enlarged by h^2 p and the noise unchanged, so their variance is larger by
h alpha / (h alpha - h^2 p). The steps here make that 1.5 % at most. BlackJAX draws its
momenta afresh after every call of so many steps, so one call makes the whole chain.
"""

import functools

import keras
import numpy as np
import pytest

from keras_asgld import BAOA, SGHMC, SGLD
from tests.support.family import as_numpy
from tests.support.graphs import one_graph

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
    noise = 0.5
    y = X @ [1.0, -0.5, 0.25] + noise * rng.normal(size=N)
    precision = X.T @ X / noise**2 + np.eye(3) / PRIOR**2
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


N, PRIOR = 60, 0.2
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


def ours(sampler, h, alpha=None, **posterior):
    """A sampler of this package with the libraries' arguments converted."""
    if sampler == "SGLD":
        return SGLD(N * h, seed=1, **posterior)
    if sampler == "SGHMC":
        return SGHMC(N * h**2, 1 - h * alpha, seed=1, **posterior)
    momentum = np.exp(-h * alpha)
    rate = N * h**2 * (1 + momentum) / 2
    return BAOA(rate, momentum, seed=1, **posterior)


def tensor(array):
    return keras.ops.convert_to_tensor(array.astype("float32"))


def in_numbers(sampler, h, alpha=None):
    """Our chains on the log-posterior over N, at a temperature of 1 / N."""
    optimizer = ours(sampler, h, alpha, temperature=1 / N)
    theta = keras.Variable(START)
    mean, curvature = tensor(MEAN), tensor(PRECISION / N)
    optimizer.build([theta])
    move = one_graph(
        lambda: optimizer.apply([(theta - mean) @ curvature], [theta]),
        [theta, *optimizer.variables],
    )
    for _ in range(STEPS[sampler]):
        move()
    return as_numpy(theta)


def in_words(sampler, h, alpha=None):
    """Our chains on the mean log-likelihood, with N and the prior said in words.

    The Gaussian, which is no regression, is its own likelihood under a flat prior.
    """
    optimizer = ours(
        sampler, h, alpha, examples=N, prior={"gaussian": None, "regression": PRIOR}
    )
    gaussian = keras.Variable(START[:, :2], name="gaussian")
    regression = keras.Variable(START[:, 2:], name="regression")
    likelihood = PRECISION[2:, 2:] - np.eye(3) / PRIOR**2
    slope = tensor(PRECISION[2:, 2:] @ MEAN[2:] / N)  # X'y: of this the prior has none
    mean, curvatures = (
        tensor(MEAN[:2]),
        [tensor(x / N) for x in (PRECISION[:2, :2], likelihood)],
    )
    both_parts = [gaussian, regression]
    optimizer.build(both_parts)

    def step():
        gradients = [
            (gaussian - mean) @ curvatures[0],
            regression @ curvatures[1] - slope,
        ]
        optimizer.apply(gradients, both_parts)

    move = one_graph(step, [*both_parts, *optimizer.variables])
    for _ in range(STEPS[sampler]):
        move()
    return np.concatenate([as_numpy(gaussian), as_numpy(regression)], axis=1)


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


@functools.cache
def our_moments(sampler, said):
    """Ours, once for both libraries, and not at all where neither is installed."""
    return moments(said(sampler, **SETTINGS[sampler]))


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
def test_means_and_covariances_agree(library, sampler):
    theirs = moments(library(sampler, **SETTINGS[sampler]))
    for said in (in_numbers, in_words):
        check(our_moments(sampler, said), theirs)


def check(ours, theirs):
    (our_mean, our_covariance), (their_mean, their_covariance) = ours, theirs
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
