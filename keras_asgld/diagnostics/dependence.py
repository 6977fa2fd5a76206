"""Chains that share their noise, which neither R-hat nor ESS can see."""

import itertools
import math
import statistics

import numpy as np

# How often independent chains are accused, all pairs and quantities together.
FALSE_ALARMS = 1e-3


def moving_together(arrays):
    """The pair of chains whose draws rise and fall together the most.

    For each pair of chains and each quantity it tests that the rank correlation of
    the two series is not positive, by Fisher's transform. The number of draws that
    counts is Bartlett's: series that remember their past correlate by chance, with
    the variance (1 + 2 Σ ρ(k) ρ'(k)) / n, where ρ and ρ' are their autocorrelations.

    Args:
        arrays: A dict of arrays of shape (chains, draws, ...).

    Returns:
        `(chain, other, correlation)`, or `None` where none is beyond chance.
    """
    series = np.concatenate(
        [array.reshape(*array.shape[:2], -1) for array in arrays.values()], axis=2
    )
    chains, count, quantities = series.shape
    standard = _standardised(series)
    memory = _autocorrelation(standard)
    pairs = list(itertools.combinations(range(chains), 2))
    level = FALSE_ALARMS / (len(pairs) * quantities)
    limit = statistics.NormalDist().inv_cdf(1 - level)
    found = None
    for one, other in pairs:
        correlation = (standard[one] * standard[other]).mean(axis=0)
        effective = count / (1 + 2 * _sum_of_products(memory[one], memory[other]))
        error = 1 / np.sqrt(np.maximum(effective - 3, 1e-9))
        # Identical and mirrored series have no finite transform.
        score = np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12)) / error
        highest = correlation[score > limit].max(initial=-math.inf)
        if highest > (found[2] if found else -math.inf):
            found = one, other, float(highest)
    return found


def _standardised(series):
    """Ranks along the draws, of mean 0 and variance 1; zeros where nothing moves."""
    from scipy import stats

    ranks = stats.rankdata(series, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    scale = ranks.std(axis=1, keepdims=True)
    return ranks / np.where(scale > 0, scale, 1)


def _autocorrelation(standard):
    """Of each series at the lags 0, 1, …, along the axis of the draws."""
    count = standard.shape[1]
    spectrum = np.fft.rfft(standard, n=2 * count, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * count, axis=1)
    return products[:, :count] / count


def _sum_of_products(one, other):
    """Σ ρ(k) ρ'(k) over k > 0, up to where chance outweighs the rest.

    Geyer's rule for a sum of autocorrelations: it ends before the first pair of lags
    whose sum is not positive.
    """
    products = (one * other)[1:]
    products = products[: len(products) // 2 * 2]
    both = products.reshape(-1, 2, products.shape[-1]).sum(axis=1)
    ended = np.cumsum(both <= 0, axis=0) > 0
    return np.where(ended, 0, both).sum(axis=0)
