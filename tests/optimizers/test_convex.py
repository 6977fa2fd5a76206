"""A hundred steps on a convex problem end where the equations say, on every backend."""

import numpy as np

from tests.support import convex, reference
from tests.support.family import as_numpy


def test_a_hundred_steps_end_with_the_weights_of_the_float64_reference():
    model, optimizer = convex.train()
    assert int(optimizer.iterations) == 100
    expected = convex.train_in_float64(
        lambda index, update, shape: reference.draw(optimizer, index, update, shape)
    )
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(as_numpy(variable), value, rtol=0, atol=1e-5)
    # The noise matters here: without it the weights are others.
    silent = convex.train_in_float64(lambda index, update, shape: np.zeros(shape))
    assert np.abs(silent[0] - expected[0]).max() > 0.05
