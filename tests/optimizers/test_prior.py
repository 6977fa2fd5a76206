"""`examples` and `prior` put the posterior's terms into the rule of every sampler."""

import json

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, SGLD, CyclicTemperature, Prior, ScaleFreeASGLD, backend
from keras_asgld.optimizers import packing
from tests.support import reference
from tests.support.family import (
    FAMILY,
    Member,
    as_numpy,
    regression_data,
    small_model,
    typical_members,
)

BACKEND = keras.backend.backend()
N = 5
# Small ones, which are updated together, and a large one, whole or in parts.
SHAPES = {"kernel": (4, 3), "bias": (3,), "gamma": (7,), "wide/kernel": (90, 60)}
SIGMAS = {"bias": None, "gamma": 0.5, "wide": 0.25, "": 2.0}
SAMPLERS = [n for n, (_, numbers) in FAMILY.items() if "temperature" in numbers]
OWN = {"kernel": 2.0, "bias": None, "gamma": 0.5, "wide/kernel": 0.25}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return Member(request.param)


@pytest.fixture(params=typical_members(SAMPLERS))
def typical(request):
    return Member(request.param)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Groups so small that the large variable is in none, and PyTorch cuts it up."""
    monkeypatch.setattr(packing, "BUDGET", 2**12)


def arrays(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype("float32") for s in SHAPES.values()]


def made(values, dtype="float32"):
    pairs = zip(SHAPES, values, strict=True)
    variables = []
    for name, value in pairs:
        *scopes, last = name.split("/")
        with keras.name_scope(scopes[0] if scopes else "layer"):
            variables.append(keras.Variable(value, dtype=dtype, name=last))
    return variables


def moved(optimizer, steps=3, dtype="float32"):
    variables = made(arrays(0), dtype)
    optimizer.build(variables)
    for step in range(1, steps + 1):
        gradients = [keras.ops.cast(g, dtype) for g in arrays(step)]
        optimizer.apply(gradients, variables)
    return [as_numpy(keras.ops.cast(v, "float32")) for v in variables]


def expected(sampler, optimizer, means, temperature, steps=3):
    """The reference rules on the gradient of N losses and the prior, over N."""
    result = []
    for index, (start, own) in enumerate(zip(arrays(0), OWN.values(), strict=True)):
        theta = start.astype("float64")
        slots = [np.zeros_like(theta)] * reference.RULES[sampler.name][1]
        for update in range(steps):
            g = arrays(update + 1)[index].astype("float64")
            if own is not None:
                g = (N * g + (theta - means[index]) / own**2) / N
            z = reference.draw(optimizer, index, update, theta.shape)
            numbers = {**sampler.numbers, "temperature": temperature / N}
            theta, slots = reference.step(
                sampler.name, update, theta, slots, g, z, **numbers
            )
        result.append(theta)
    return result


@pytest.mark.parametrize("mean", ["zero", "initial", "given"])
@pytest.mark.parametrize("temperature", [None, 0.3])
def test_steps_follow_the_reference_rule(sampler, mean, temperature):
    means = {"zero": [0.0] * 4, "initial": arrays(0), "given": arrays(9)}[mean]
    argument = {"zero": None, "initial": "initial", "given": means}[mean]
    prior = Prior(SIGMAS, mean=argument)
    optimizer = sampler(examples=N, prior=prior, temperature=temperature)
    values = moved(optimizer)
    states = expected(sampler, optimizer, means, temperature or 1.0)
    for value, state in zip(values, states, strict=True):
        np.testing.assert_allclose(value, state, rtol=1e-5, atol=3e-5)


def test_a_number_and_a_dict_stand_for_a_prior(sampler):
    for short, long in [(0.5, Prior(0.5)), (SIGMAS, Prior(SIGMAS)), (None, None)]:
        one, other = (sampler(examples=N, prior=each) for each in (short, long))
        for a, b in zip(moved(one), moved(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_examples_alone_divide_the_temperature(sampler):
    told = sampler(examples=N, temperature=0.4)
    divided = sampler(temperature=0.4 / N)
    assert float(keras.ops.convert_to_numpy(told.temperature)) == pytest.approx(0.4)
    for a, b in zip(moved(told), moved(divided), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_flat_prior_is_none(sampler):
    flat = moved(sampler(examples=N, prior=Prior(None, mean="initial")))
    for a, b in zip(flat, moved(sampler(examples=N)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_schedules_of_the_temperature_are_divided_too(sampler):
    schedule = CyclicTemperature(0.4, 2, 1)
    one = moved(sampler(examples=N, temperature=schedule))
    other = moved(sampler(temperature=CyclicTemperature(0.4 / N, 2, 1)))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("mean", [None, "initial"])
def test_together_and_in_parts_is_as_alone(typical, mean, dtype, monkeypatch):
    if BACKEND == "jax" and dtype == "float64":
        pytest.skip("JAX has float64 only where it is switched on")
    make = lambda: typical(examples=N, prior=Prior(SIGMAS, mean))  # noqa: E731
    together = moved(make(), dtype=dtype)
    monkeypatch.setattr(backend, "may_pack", lambda: False)
    monkeypatch.setattr(backend, "may_cut", lambda variable: False)
    alone = moved(make(), dtype=dtype)
    atol = 0.02 if dtype == "bfloat16" else 1e-6
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=atol, atol=atol)


def test_the_prior_is_not_clipped(sampler):
    variable = keras.Variable(np.full((3,), 50.0, "float32"), name="weight")
    optimizer = sampler(temperature=0.0, examples=2, prior=0.5, clipvalue=1e-6)
    optimizer.build([variable])
    optimizer.apply([keras.ops.zeros((3,))], [variable])
    plain = keras.Variable(np.full((3,), 50.0, "float32"), name="weight")
    other = sampler(temperature=0.0)
    other.apply([keras.ops.full((3,), 50.0 / (2 * 0.25))], [plain])
    np.testing.assert_allclose(as_numpy(variable), as_numpy(plain), rtol=1e-5)


def test_an_excluded_variable_has_a_prior_and_no_noise(sampler):
    prior = {"": 0.5}
    quiet = sampler(examples=2, prior=prior)
    quiet.exclude_from_noise(var_names=[""])
    still = sampler(examples=2, prior=prior, temperature=0.0)
    for a, b in zip(moved(quiet), moved(still), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# Saving


@pytest.mark.parametrize("prior", [None, 0.5, Prior(SIGMAS, "initial")])
def test_configuration_round_trip(sampler, prior):
    optimizer = sampler(examples=N, prior=prior, temperature=None)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()
    assert copy.examples == N
    if prior is not None:
        assert copy.prior.get_config() == optimizer.prior.get_config()
    if isinstance(prior, Prior):  # the order of its patterns too
        assert list(copy.prior.sigma.items()) == list(SIGMAS.items())


def test_without_examples_configurations_are_as_before(sampler):
    assert not {"examples", "prior"} & set(sampler().get_config())
    variables = len(sampler().variables)
    assert len(sampler(examples=N, prior=0.5).variables) == variables


@pytest.mark.parametrize("mean", [None, "initial", "given"])
def test_saved_and_loaded_model_goes_on_to_the_bit(typical, tmp_path, mean):
    x, y = regression_data()
    model = small_model()
    given = [np.full(v.shape, 0.5) for v in model.trainable_variables]
    prior = Prior({"bias": 3.0, "": 0.3}, given if mean == "given" else mean)
    make = lambda: typical(seed=None, examples=len(x), prior=prior)  # noqa: E731
    # Three models would be compiled; test_saving.py tries compiled ones.
    model.compile(optimizer=make(), loss="mse", run_eagerly=True)
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    whole = keras.saving.load_model(tmp_path / "model.keras")
    weights = small_model(seed=1)
    weights.compile(optimizer=make(), loss="mse", run_eagerly=True)
    weights.optimizer.build(weights.trainable_variables)
    weights.load_weights(tmp_path / "model.weights.h5")
    for each in (model, whole, weights):
        each.fit(x, y, verbose=0, shuffle=False)
    for loaded in (whole, weights):
        for a, b in zip(model.variables, loaded.variables, strict=True):
            np.testing.assert_array_equal(as_numpy(a), as_numpy(b))


def test_a_copy_without_the_weights_that_its_prior_is_about_makes_no_step(sampler):
    optimizer = sampler(examples=N, prior=Prior(0.5, mean=arrays(9)))
    copy = sampler.cls.from_config(optimizer.get_config())
    variables = made(arrays(0))
    with pytest.raises(ValueError, match="`mean` must be loaded .*mean='saved'"):
        copy.apply([keras.ops.ones(s) for s in SHAPES.values()], variables)
    for variable, value in zip(variables, arrays(0), strict=True):
        np.testing.assert_array_equal(as_numpy(variable), value)


def test_the_weights_it_is_about_stay_when_the_variables_move(sampler):
    optimizer = sampler(examples=N, prior=Prior(SIGMAS, "initial"))
    moved(optimizer)
    means = [v for v in optimizer.variables if "prior_mean" in v.path]
    starts = [a for a, own in zip(arrays(0), OWN.values(), strict=True) if own]
    for mean, start in zip(means, starts, strict=True):
        np.testing.assert_array_equal(as_numpy(mean), start)


@pytest.mark.skipif(BACKEND != "jax", reason="vmap is JAX's")
def test_vmapped_chains_have_the_prior(sampler):
    import jax

    start = np.ones((4, 3), "float32")
    values = []
    for seed in (3, 4):
        variable = keras.Variable(start, name="weight")
        optimizer = sampler(seed=seed, examples=N, prior=Prior(0.3, "initial"))
        for g in (0.5, -0.2):
            optimizer.apply([keras.ops.full((4, 3), g)], [variable])
        values.append(as_numpy(variable))
    variable = keras.Variable(start, name="weight")
    optimizer = sampler(examples=N, prior=Prior(0.3, "initial"))
    optimizer.build([variable])
    state = optimizer.stacked_variables([3, 4])
    step = jax.vmap(optimizer.stateless_apply, in_axes=(0, None, 0))
    chains = [jax.numpy.stack([start] * 2)]
    for g in (0.5, -0.2):
        chains, state = step(state, [keras.ops.full((4, 3), g)], chains)
    np.testing.assert_allclose(chains[0], np.stack(values), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="replicas are TensorFlow's")
def test_replicas_have_the_prior():
    import tensorflow as tf

    values = []
    for devices in (None, ["/cpu:0"]):
        scope = tf.distribute.MirroredStrategy(devices) if devices else None
        with scope.scope() if scope else keras.name_scope("one"):
            model = small_model()
            prior = Prior({"bias": None, "": 0.3}, "initial")
            model.compile(SGLD(0.05, examples=64, prior=prior, seed=1), "mse")
        x, y = regression_data()
        model.fit(x, y, epochs=2, verbose=0, shuffle=False)
        values.append(model.get_weights())
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# Wrong arguments


@pytest.mark.parametrize("value", [0, -3, 1.5, True, "60000", float("nan")])
def test_wrong_examples_are_named(sampler, value):
    with pytest.raises(ValueError, match="`examples` must be .*Received: examples="):
        sampler(examples=value)


@pytest.mark.parametrize("value", [True, "0.5", [0.5], lambda: 0.5, SGLD])
def test_wrong_priors_are_named(sampler, value):
    with pytest.raises(ValueError, match="`prior` must be .*Received: prior="):
        sampler(examples=N, prior=value)


def test_a_prior_needs_the_number_of_examples(sampler):
    with pytest.raises(ValueError, match="`examples` must be .*there is a `prior`"):
        sampler(prior=0.5)


def test_weight_decay_on_top_of_a_prior_is_warned_of(sampler):
    """At the user's own line; neither is by itself."""
    words = "`weight_decay` draws.*Received: weight_decay=0.01, prior=0.5"
    with pytest.warns(UserWarning, match=words) as found:
        sampler.cls(**sampler.numbers, examples=N, prior=0.5, weight_decay=0.01)
    assert [warning.filename for warning in found] == [__file__]
    sampler(examples=N, prior=0.5, weight_decay=0.0)
    sampler(examples=N, weight_decay=0.01)


def test_a_temperature_is_needed_without_examples(sampler):
    with pytest.raises(
        ValueError, match="`temperature` must be given, or `examples`, the number"
    ):
        sampler(temperature=None)


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, 1e-13, 1e13, "x", True])
def test_wrong_standard_deviations_are_named(value):
    with pytest.raises(ValueError, match="`sigma` must be .*Received: sigma="):
        Prior(value)
    with pytest.raises(ValueError, match=r"`sigma\['bias'\]` must be .*Received: sig"):
        Prior({"bias": value, "": 1.0})


@pytest.mark.parametrize("value", [{}, {"(": 1.0}, {3: 1.0}, {None: 1.0}])
def test_wrong_patterns_are_named(value):
    with pytest.raises(ValueError, match="`sigma` must be a dict .*Received: sigma="):
        Prior(value)


@pytest.mark.parametrize(
    "value", ["zero", 0.0, np.ones(3), [np.nan], ["a"], [[1, [2]]]]
)
def test_wrong_means_are_named(value):
    with pytest.raises(ValueError, match="`mean` must be .*Received: mean="):
        Prior(1.0, mean=value)


@pytest.mark.parametrize("wrong", ["fewer", "transposed"])
def test_means_must_fit_the_variables(sampler, wrong):
    means = arrays(9)[1:] if wrong == "fewer" else [a.T for a in arrays(9)]
    optimizer = sampler(examples=N, prior=Prior(1.0, mean=means))
    with pytest.raises(ValueError, match="`mean` must be .*Received: mean=a"):
        optimizer.build(made(arrays(0)))


def test_every_variable_needs_a_pattern(sampler):
    optimizer = sampler(examples=N, prior={"bias": None, "kernel": 1.0})
    with pytest.raises(
        ValueError,
        match="`prior` must have a pattern for each variable.*none for '.*gamma",
    ):
        optimizer.build(made(arrays(0)))


def test_idle_patterns_are_warned_of(sampler):
    optimizer = sampler(examples=N, prior={"biass": None, "": 1.0})
    with pytest.warns(UserWarning, match="`prior`: 'biass' matches none of the 4"):
        optimizer.build(made(arrays(0)))


@pytest.mark.parametrize("cls", [ASGLD, ScaleFreeASGLD])
def test_optimizers_that_sample_nothing_take_no_examples(cls):
    with pytest.raises((ValueError, TypeError), match="examples"):
        cls(0.1, examples=N)
