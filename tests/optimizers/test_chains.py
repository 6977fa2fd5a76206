"""Several chains of one optimizer at once have noise of their own."""

import keras
import numpy as np
import pytest

from tests.support.family import as_numpy

BACKEND = keras.backend.backend()
SEEDS = [3, 4, 2**40]


def single(member, seed, starts, gradients):
    variables = [keras.Variable(start) for start in starts]
    optimizer = member(seed=seed)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    return [as_numpy(v) for v in variables]


@pytest.mark.skipif(BACKEND != "jax", reason="vmap is JAX's")
def test_vmapped_chains_are_the_single_runs_of_their_seeds(member):
    import jax

    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(s).astype("float32") for s in [(40, 5), (300,)]]
    gradients = [[0.1 * start for start in starts]] * 4
    variables = [keras.Variable(start) for start in starts]
    optimizer = member()
    optimizer.build(variables)
    state = optimizer.stacked_variables(SEEDS)
    values = [jax.numpy.stack([start] * 3) for start in starts]
    step = jax.jit(jax.vmap(optimizer.stateless_apply, in_axes=(0, None, 0)))
    for each in gradients:
        values, state = step(state, each, values)
    for chain, seed in enumerate(SEEDS):
        expected = single(member, seed, starts, gradients)
        for value, alone in zip(values, expected, strict=True):
            np.testing.assert_allclose(value[chain], alone, rtol=1e-5, atol=1e-6)
    differences = np.asarray(values[0] - starts[0]).reshape(3, -1)
    drift = differences.mean(axis=0)
    assert np.abs(differences - drift).max() > 1e-3


def test_stacked_state_is_that_of_each_seed(member):
    optimizers = [member(seed=seed) for seed in (9, *SEEDS)]
    for optimizer in optimizers:
        optimizer.build([keras.Variable(np.ones(3, "float32"), name="weight")])
    stacked = optimizers[0].stacked_variables(SEEDS)
    for chain, optimizer in enumerate(optimizers[1:]):
        for value, variable in zip(stacked, optimizer.variables, strict=True):
            np.testing.assert_array_equal(as_numpy(value)[chain], as_numpy(variable))


@pytest.mark.parametrize("seeds", [[], [1, 1], [None, 2], [-1], [1.5]])
def test_seeds_that_cannot_tell_chains_apart_are_refused(member, seeds):
    optimizer = member()
    optimizer.build([keras.Variable(np.ones(3, "float32"))])
    with pytest.raises(ValueError, match=r"`seeds?` must be .*Received: seed"):
        optimizer.stacked_variables(seeds)


def test_an_optimizer_that_is_not_built_has_no_chains(member):
    with pytest.raises(ValueError, match="`stacked_variables.*once the optimizer"):
        member().stacked_variables([1, 2])
