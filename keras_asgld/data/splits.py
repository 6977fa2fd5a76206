"""Choosing part of a data set, so that every class keeps its share."""

import numpy as np


def random_order(count):
    """Returns a fixed random order of `count` examples, a permutation of them."""
    # RandomState, not Generator: NumPy promises that its stream never changes.
    return np.random.RandomState(0).permutation(count)


def stratified_order(labels):
    """Returns a fixed random order of examples whose every prefix is balanced.

    In the first `m` examples each class has its share of `m`, to within two examples
    (exactly a tenth of `m` for ten equally large classes and `m` divisible by ten).
    The order depends on the labels alone: whatever the run's seed, a subset of a given
    size holds the same pictures, and smaller subsets lie within larger ones.

    Args:
        labels: Integers `[n]`.

    Returns:
        A permutation of `range(n)`, int64 `[n]`.
    """
    mixed = random_order(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = mixed[labels[mixed] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return mixed[np.argsort(place[mixed], kind="stable")]
