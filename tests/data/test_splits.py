import numpy as np

from keras_asgld.data.splits import stratified_order


def labels_of(*counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.RandomState(3).permutation(labels)


def test_order_holds_every_example_once():
    labels = labels_of(50, 7, 33)
    order = stratified_order(labels)
    np.testing.assert_array_equal(np.sort(order), np.arange(90))


def test_every_prefix_gives_each_class_its_share():
    counts = np.array([50, 7, 33, 160])
    labels = labels_of(*counts)
    taken = np.cumsum(np.eye(4)[labels[stratified_order(labels)]], axis=0)
    share = np.arange(1, 251)[:, None] * counts / 250
    # Each class is at most half an example off its own even spacing, and the prefix
    # itself at most half an example off for each of the other classes.
    assert np.abs(taken - share).max() <= 1.5


def test_equal_classes_are_exactly_equal_in_round_prefixes():
    labels = labels_of(*[20] * 10)
    order = stratified_order(labels)
    for size in (10, 50, 190):
        assert set(np.bincount(labels[order[:size]])) == {size // 10}


def test_order_is_mixed_within_a_class():
    members = stratified_order(np.zeros(100, int))
    assert np.corrcoef(members, np.arange(100))[0, 1] < 0.4
    assert not np.array_equal(members, np.sort(members))
