import numpy as np
import pytest

from keras_asgld.data import plan

SEEDS = [(0, 0), (7, 3), (2**63 - 1, 12), (5, 2**40)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 1437])
def test_plan_is_what_tensorflow_draws(seed, count):
    tf = pytest.importorskip("tensorflow")
    order_seed, draw_seed = tf.random.split(tf.constant(seed, tf.int64))
    shuffled = tf.random.experimental.stateless_shuffle(tf.range(count), order_seed)
    uniform = tf.random.stateless_uniform((count, 3), draw_seed)
    order, draws = plan.plan(*seed, count, (9, 9, 2))
    assert (order.dtype, draws.dtype) == (np.int32, np.int32)
    np.testing.assert_array_equal(order, shuffled)
    np.testing.assert_array_equal(draws, tf.cast(uniform * (9.0, 9.0, 2.0), tf.int32))


def test_plan_is_the_same_wherever_it_is_made():
    order, draws = plan.plan(7, 3, 5, (9, 9, 2))
    assert order.tolist() == [4, 3, 2, 1, 0]
    assert draws.tolist() == [[5, 8, 1], [1, 3, 1], [5, 5, 1], [2, 5, 1], [1, 0, 1]]


def test_draws_are_uniform_over_every_crop_and_mirror():
    count = 20_000
    draws = plan.draw(count, (9, 9, 2), (5, 0))
    for column, ways in zip(draws.T, (9, 9, 2), strict=True):
        seen = np.bincount(column, minlength=ways)
        assert len(seen) == ways
        error = np.sqrt(count / ways * (1 - 1 / ways))
        assert np.abs(seen - count / ways).max() < 5 * error
    correlations = np.corrcoef(draws.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(count)
