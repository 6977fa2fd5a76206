"""What every optimizer of the package promises, whatever its update rule."""

import inspect
import json

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, SGLD
from tests.support import reference
from tests.support.family import as_numpy, regression_data, run, small_model

BACKEND = keras.backend.backend()


def check(member, optimizer, start, values, gradients, **changed):
    """The values are those of the reference rule under these gradients."""
    numbers = {**member.numbers, **changed}
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    expected = np.stack([state[0] for state in states])
    np.testing.assert_allclose(values, expected, rtol=0, atol=3e-5)


def test_sixty_steps_follow_the_reference_rule(member, start, gradients):
    optimizer = member()
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


def test_every_keyword_of_keras_optimizers_is_accepted(member):
    theirs = set(inspect.signature(keras.optimizers.SGD).parameters)
    ours = set(inspect.signature(member.cls).parameters)
    assert theirs - {"momentum", "nesterov"} <= ours


def test_defaults_train_a_model(member):
    model = small_model()
    model.compile(optimizer=member(), loss="mse")
    x, y = regression_data()
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


# Keras features


def test_learning_rate_schedule(member, start, gradients):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([19], [0.05, 0.01])
    optimizer = member(learning_rate=schedule)
    _, values = run(optimizer, start, gradients)
    rate = lambda update: 0.05 if update <= 19 else 0.01  # noqa: E731
    check(member, optimizer, start, values, gradients, learning_rate=rate)


def test_learning_rate_callable(member, start, gradients):
    optimizer = member(learning_rate=lambda: 0.02)
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients, learning_rate=0.02)


def test_learning_rate_can_be_reassigned(member, start, gradients):
    optimizer = member()
    variable, _ = run(optimizer, start, gradients[:10])
    optimizer.learning_rate = 0.01
    for g in gradients[10:]:
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
    rate = lambda update: 0.05 if update < 10 else 0.01  # noqa: E731
    numbers = {**member.numbers, "learning_rate": rate}
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    np.testing.assert_allclose(as_numpy(variable), states[-1][0], atol=3e-5)


def test_weight_decay_is_decoupled(member, start, gradients):
    decay, lr = 0.1, member.numbers["learning_rate"]
    optimizer = member(weight_decay=decay)
    variable, values = run(optimizer, start, gradients)
    rule, slots = reference.RULES[member.name]
    theta, slots = start.astype("float64"), [np.zeros_like(start)] * slots
    for update, g in enumerate(gradients.astype("float64")):
        theta = theta - lr * decay * theta
        z = reference.draw(optimizer, 0, update, theta.shape)
        theta, slots = rule(theta, slots, g, z, **member.numbers)
        np.testing.assert_allclose(values[update], theta, atol=3e-5)


def test_excluded_variables_are_not_decayed(member, start, gradients):
    optimizer = member(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["weight"])
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


def test_clipvalue(member, start, gradients):
    optimizer = member(clipvalue=0.5)
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, np.clip(gradients, -0.5, 0.5))


@pytest.mark.parametrize("kind", ["clipnorm", "global_clipnorm"])
def test_clipping_by_norm(member, start, gradients, kind):
    optimizer = member(**{kind: 1.0})
    _, values = run(optimizer, start, gradients)
    norms = np.sqrt((gradients.astype("float64") ** 2).sum((1, 2), keepdims=True))
    check(member, optimizer, start, values, gradients / np.maximum(norms, 1.0))


def test_loss_scale_factor_divides_the_gradient(member, start, gradients):
    optimizer = member(loss_scale_factor=8.0)
    _, values = run(optimizer, start, 8 * gradients)
    check(member, optimizer, start, values, gradients)


def test_gradient_accumulation_makes_one_update_of_the_mean(member, start, gradients):
    optimizer = member(gradient_accumulation_steps=3)
    _, values = run(optimizer, start, gradients)
    means = gradients.reshape(20, 3, 4, 3).mean(axis=1)
    check(member, optimizer, start, values[2::3], means)
    np.testing.assert_array_equal(values[0], start)


def test_moving_average_of_the_weights(member, start, gradients):
    optimizer = member(use_ema=True, ema_momentum=0.9)
    variable, values = run(optimizer, start, gradients)
    average = values[0].astype("float64")
    for value in values[1:]:
        average = 0.9 * average + 0.1 * value
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(as_numpy(variable), average, atol=1e-5)


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
    kept = [as_numpy(v) for v in [variable, *inner._slots[0], inner.iterations]]
    apply(np.full((4, 3), np.inf, "float32"))
    now = [as_numpy(v) for v in [variable, *inner._slots[0], inner.iterations]]
    for before, after in zip(kept, now, strict=True):
        np.testing.assert_array_equal(before, after)
    apply(good / 2)
    states = reference.trajectory(inner, start, [good / 4] * 2, **member.numbers)
    np.testing.assert_allclose(as_numpy(variable), states[-1][0], atol=1e-6)


# Noise


def test_one_seed_gives_one_trajectory(member, start, gradients):
    _, a = run(member(seed=11), start, gradients)
    _, b = run(member(seed=11), start, gradients)
    _, c = run(member(seed=12), start, gradients)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).min(axis=(1, 2)).max() > 0


def test_seed_none_obeys_set_random_seed(member, start, gradients):
    trajectories = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        trajectories.append(run(member(seed=None), start, gradients[:3])[1])
    np.testing.assert_array_equal(trajectories[0], trajectories[1])
    assert (trajectories[0] != trajectories[2]).all()


def test_equal_shapes_and_successive_updates_get_different_noise(member):
    n = 20_000
    optimizer = member(learning_rate=1.0)
    variables = [keras.Variable(np.zeros(n, "float32")) for _ in range(2)]
    gradient = keras.ops.convert_to_tensor(np.ones(n, "float32"))
    steps, last = [], [np.zeros(n)] * 2
    for _ in range(3):
        optimizer.apply([gradient] * 2, variables)
        now = [as_numpy(v).astype("float64") for v in variables]
        steps += [b - a for a, b in zip(last, now, strict=True)]
        last = now
    if member.name == "SGHMC":
        # What its momentum carries over is no noise of the step.
        carried = member.numbers["momentum"] * np.array(steps[:-2])
        steps[2:] = list(steps[2:] - carried)
    correlation = np.corrcoef(steps) - np.eye(6)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


def test_excluded_variables_are_moved_without_noise(member, start, gradients):
    for selection in ("var_list", "var_names"):
        variables = [keras.Variable(start, name=name) for name in ("plain", "noisy")]
        optimizer = member()
        chosen = [variables[0]] if selection == "var_list" else ["plain"]
        optimizer.exclude_from_noise(**{selection: chosen})
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g)] * 2, variables)
        rule, slots = reference.RULES[member.name]
        theta, slots = start.astype("float64"), [np.zeros_like(start)] * slots
        for g in gradients.astype("float64"):
            theta, slots = rule(theta, slots, g, np.zeros_like(theta), **member.numbers)
        np.testing.assert_allclose(as_numpy(variables[0]), theta, atol=3e-5)
        states = reference.trajectory(
            optimizer, start, gradients, index=1, **member.numbers
        )
        np.testing.assert_allclose(as_numpy(variables[1]), states[-1][0], atol=3e-5)


def test_exclusion_matches_the_names_of_layers(member):
    model = small_model()
    optimizer = member()
    optimizer.exclude_from_noise(var_names=["hidden"])
    optimizer.build(model.trainable_variables)
    assert optimizer._is_noisy == [False, False, True, True]


def test_a_pattern_that_matches_nothing_is_warned_of(member):
    optimizer = member()
    optimizer.exclude_from_noise(var_names=["hidden", "hiden"])
    with pytest.warns(UserWarning, match="'hiden' matches none of the 4") as caught:
        optimizer.build(small_model().trainable_variables)
    assert len(caught) == 1


def test_exclusion_after_build_is_refused(member, start):
    optimizer = member()
    optimizer.build([keras.Variable(start)])
    with pytest.raises(ValueError, match="exclude_from_noise"):
        optimizer.exclude_from_noise(var_names=["bias"])


@pytest.mark.parametrize("names", ["bias", ["("], [3], 5])
def test_names_that_are_no_list_of_patterns_are_refused(names):
    with pytest.raises(ValueError, match="`var_names` must be a list"):
        ASGLD().exclude_from_noise(var_names=names)


def test_members_of_a_multi_optimizer_do_not_share_noise(member):
    n = 20_000
    variables = [
        keras.Variable(np.zeros(n, "float32"), name=name) for name in ("one", "two")
    ]
    members = [member(learning_rate=1.0) for _ in range(2)]
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(members[0], {".*two": members[1]})
    )
    gradient = keras.ops.convert_to_tensor(np.ones(n, "float32"))
    for _ in range(2):
        optimizer.apply([gradient] * 2, variables)
    correlation = np.corrcoef([as_numpy(v) for v in variables])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(n)


# Variables and gradients of all kinds


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_variables_have_float32_slots(member, start, gradients, dtype):
    optimizer = member()
    variable, values = run(optimizer, start, gradients, dtype)
    assert variable.dtype == dtype
    assert {slot.dtype for slot in optimizer._slots[0]} <= {"float32"}
    rounded = keras.ops.convert_to_tensor(gradients, dtype)
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(rounded, "float32"))
    states = reference.trajectory(optimizer, start, rounded, **member.numbers)
    for slot, expected in zip(optimizer._slots[0], states[-1][1:], strict=True):
        np.testing.assert_allclose(as_numpy(slot), expected, rtol=1e-4, atol=1e-5)
    # One rounding of the weights a step, each of half a unit in the last place.
    spacing = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    bound = spacing * np.abs(values.astype("float32")).max() * np.sqrt(60) * 4
    difference = values[-1].astype("float64") - states[-1][0]
    assert np.abs(difference).max() < bound


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 1, 5)])
def test_unusual_shapes(member, shape):
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype("float32")
    gradients = rng.normal(size=(5, *shape)).astype("float32")
    optimizer = member()
    _, values = run(optimizer, start, gradients)
    check(member, optimizer, start, values, gradients)


@pytest.mark.parametrize(
    ("shapes", "wrong"),
    [
        ([(2, 3), (1,)], (6,)),  # packed together
        ([(3, 1), (1,)], (1, 3)),
        ([(3,)], ()),  # alone
        ([(400, 500)], (500, 400)),  # in pieces on PyTorch
        ([(400, 500)], (1, 500)),
    ],
)
def test_a_gradient_of_another_shape_is_refused_and_changes_nothing(
    member, shapes, wrong
):
    optimizer = member(weight_decay=0.1)
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    optimizer.build(variables)
    gradients = [keras.ops.ones(shape) for shape in [wrong, *shapes[1:]]]
    with pytest.raises(ValueError, match=r"`grads` must have.*Received: shape=\("):
        optimizer.apply(gradients, variables)
    with pytest.raises(ValueError, match="`grads` must have"):
        optimizer.apply(gradients)
    assert all(np.all(as_numpy(variable) == 1) for variable in variables)
    assert int(optimizer.iterations) == 0


def test_variables_without_a_gradient_stay(member, start):
    variables = [keras.Variable(start, name=n) for n in ("a", "b")]
    optimizer = member()
    optimizer.build(variables)
    gradient = keras.ops.convert_to_tensor(start)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([gradient, None], variables)
    np.testing.assert_array_equal(as_numpy(variables[1]), start)
    assert (as_numpy(variables[0]) != start).all()


def test_embeddings_train(member):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), keras.layers.Embedding(50, 4)]
    )
    before = as_numpy(model.trainable_variables[0])
    model.compile(optimizer=member(), loss="mse")
    x = np.arange(30).reshape(10, 3) % 20
    model.fit(x, np.ones((10, 3, 4)), epochs=2, batch_size=5, verbose=0)
    after = as_numpy(model.trainable_variables[0])
    assert (after[:20] != before[:20]).all()
    assert np.isfinite(after).all()


def test_embeddings_train_beside_others_under_loss_scaling(member):
    # A sparse gradient of unknown length, in a branch, packed with others.
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(50, 4),
            keras.layers.Dense(2),
        ]
    )
    before = [as_numpy(v) for v in model.trainable_variables]
    model.compile(keras.optimizers.LossScaleOptimizer(member()), loss="mse")
    x = np.arange(30).reshape(10, 3) % 20
    model.fit(x, np.ones((10, 3, 2)), epochs=2, batch_size=5, verbose=0)
    for variable, start in zip(model.trainable_variables, before, strict=True):
        after = as_numpy(variable)
        assert np.isfinite(after).all()
        assert (after != start)[:20].all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_gradient_spreads_to_its_own_elements_only(member, start, bad):
    gradient = np.ones((4, 3), "float32")
    gradient[1, 2] = bad
    _, ours = run(member(), start, [gradient] * 2)
    adam = keras.optimizers.Adam(0.01)
    _, theirs = run(adam, start, [gradient] * 2)
    np.testing.assert_array_equal(np.isfinite(ours[-1]), np.isfinite(theirs[-1]))
    assert np.isfinite(ours[-1]).sum() == 11


# Configuration and saving


def test_configuration_round_trip(member):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = member(learning_rate=schedule, weight_decay=0.01, clipnorm=1.0)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is member.cls
    assert copy.get_config() == optimizer.get_config()
    assert copy.seed == 7


def test_configuration_without_a_seed_does_not_repeat_the_noise(
    member, start, gradients
):
    optimizer = member(seed=None)
    copy = member.cls.from_config(optimizer.get_config())
    _, a = run(optimizer, start, gradients[:2])
    _, b = run(copy, start, gradients[:2])
    assert optimizer.get_config()["seed"] is None
    assert (a != b).all()


@pytest.mark.parametrize("form", ["model.keras", "model.weights.h5"])
def test_saved_and_loaded_model_goes_on_to_the_bit(member, tmp_path, form):
    x, y = regression_data()
    model = small_model()
    model.compile(optimizer=member(seed=None), loss="mse")
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    path = tmp_path / form
    if form.endswith(".keras"):
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded = small_model(seed=1)
        loaded.compile(optimizer=member(seed=None), loss="mse")
        loaded.optimizer.build(loaded.trainable_variables)
        loaded.load_weights(path)
    for each in (model, loaded):
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(as_numpy(a), as_numpy(b))


# Wrong arguments


@pytest.mark.parametrize(
    "argument, value",
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("seed", "1"),
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "fast"),
        ("learning_rate", None),
        ("learning_rate", [0.1]),
    ],
)
def test_wrong_arguments_are_named(member, argument, value):
    with pytest.raises(
        ValueError, match=f"`{argument}` must be .*Received: {argument}"
    ):
        member(**{argument: value})


@pytest.mark.parametrize("value", [-1.0, np.float32("nan"), float("inf"), -3])
def test_numbers_that_callables_return_are_checked(member, start, value):
    name = "noise" if member.name == "ASGLD" else "temperature"
    optimizer = member(**{name: lambda: value})
    variable = keras.Variable(start)
    with pytest.raises(ValueError, match=f"`{name}` must be finite and not negative"):
        optimizer.apply([keras.ops.convert_to_tensor(start)], [variable])
    np.testing.assert_array_equal(as_numpy(variable), start)


def test_unknown_arguments_are_refused(member):
    with pytest.raises((ValueError, TypeError), match="temprature"):
        member(temprature=1.0)


@pytest.mark.parametrize("variables", [["kernel"], "kernel", np.ones(3)])
def test_what_is_no_list_of_variables_is_not_excluded(variables):
    with pytest.raises(ValueError, match="`var_list` must be a list of variables"):
        ASGLD().exclude_from_noise(variables)


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
