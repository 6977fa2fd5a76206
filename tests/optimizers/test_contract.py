"""What every optimizer of the package promises, whatever its update rule."""

import keras
import numpy as np
import pytest

from keras_asgld import SGLD
from tests.support import reference
from tests.support.family import as_numpy, check, regression_data, run, small_model

BACKEND = keras.backend.backend()


def test_sixty_steps_follow_the_reference_rule(member, start, gradients):
    optimizer = member()
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


def test_defaults_train_a_model(member):
    model = small_model()
    model.compile(optimizer=member(), loss="mse")
    x, y = regression_data()
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


def test_skipped_step_of_the_loss_scale_optimizer_changes_nothing(member, start):
    inner = member()
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    variable = keras.Variable(start)
    optimizer.build([variable])

    def apply(gradient):
        gradient = keras.ops.convert_to_tensor(gradient)
        if keras.backend.backend() != "jax":
            optimizer.apply([gradient], [variable])
            return
        # On JAX, Keras offers the skipping in its stateless form only.
        state = [v.value for v in optimizer.variables]
        [value], state = optimizer.stateless_apply(state, [gradient], [variable.value])
        variable.assign(value)
        for v, new in zip(optimizer.variables, state, strict=True):
            v.assign(new)

    good = np.full((4, 3), 4.0, "float32")
    apply(good)
    kept = [as_numpy(v) for v in [variable, *inner.slots(variable), inner.iterations]]
    apply(np.full((4, 3), np.inf, "float32"))
    now = [as_numpy(v) for v in [variable, *inner.slots(variable), inner.iterations]]
    for before, after in zip(kept, now, strict=True):
        np.testing.assert_array_equal(before, after)
    apply(good / 2)
    states = reference.trajectory(inner, start, [good / 4] * 2, **member.numbers)
    np.testing.assert_allclose(as_numpy(variable), states[-1][0], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_gradient_spreads_to_its_own_elements_only(member, start, bad):
    gradient = np.ones((4, 3), "float32")
    gradient[1, 2] = bad
    _, ours = run(member(), start, [gradient] * 2)
    adam = keras.optimizers.Adam(0.01)
    _, theirs = run(adam, start, [gradient] * 2)
    np.testing.assert_array_equal(np.isfinite(ours[-1]), np.isfinite(theirs[-1]))
    assert np.isfinite(ours[-1]).sum() == 11


@pytest.mark.parametrize("shape", [(3,), (300, 300)])
def test_update_step_alone_is_a_step(member, shape):
    moved = []
    for alone in (False, True):
        variable = keras.Variable(np.ones(shape, "float32"))
        optimizer = member()
        optimizer.build([variable])
        gradient = keras.ops.full(shape, 0.5)
        if alone:
            optimizer.update_step(gradient, variable, optimizer.learning_rate)
        else:
            optimizer.apply([gradient], [variable])
        moved.append(as_numpy(variable))
    np.testing.assert_allclose(*moved, rtol=1e-6)
    assert np.any(moved[0] != 1)


@pytest.mark.skipif(BACKEND != "jax", reason="asks JAX")
def test_a_step_on_jax_has_gradients_and_needs_no_rank_promotion():
    import jax

    optimizer = SGLD(0.1, temperature=0.1, seed=0)
    variables = [
        keras.Variable(np.ones(s, "float32")) for s in [(3,), (5,), (300, 300)]
    ]
    optimizer.build(variables)
    values = [v.value for v in variables]
    state = [v.value for v in optimizer.variables]

    def total(gradients):
        new, _ = optimizer.stateless_apply(state, gradients, values)
        return sum(jax.numpy.sum(value) for value in new)

    with jax.numpy_rank_promotion("raise"):
        slopes = jax.grad(total)([jax.numpy.ones(v.shape) for v in variables])
    for slope in slopes:  # a whole step is by the rate, half a drift
        np.testing.assert_allclose(slope, slopes[-1].ravel()[0], rtol=1e-5)
    assert slopes[-1].ravel()[0] < -0.01
