"""Chains differ, each is the run of its seed, and a killed program goes on."""

import json
import random
import shutil

import keras
import numpy as np
import pytest

from keras_asgld import SGHMC, SGLD, Chains, WeightEnsemble, diagnostics
from tests.support import chained, processes
from tests.support.monitored import as_numpy, compiled, data, fit, make, small_model


def with_dropout(optimizer, **arguments):
    """A small model that uses all kinds of random numbers."""
    initializer = keras.initializers.GlorotNormal
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, activation="tanh", kernel_initializer=initializer()),
            # Without a seed: on PyTorch dropout that has one has another generator.
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4, kernel_initializer=initializer(**arguments)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def members(folder, model):
    ensemble = WeightEnsemble(folder)
    return [ensemble.members.read(s, model) for s in ensemble.members.steps()]


def assert_same(members, others):
    assert len(members) == len(others) > 0
    for one, other in zip(members, others, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def trained(tmp_path, count=2, epochs=3, model=None, **settings):
    chains = Chains(model or compiled(make("SGLD")), count, tmp_path, **settings)
    x, y = data()
    histories = chains.fit(x, y, epochs=epochs, batch_size=8, verbose=0)
    return chains, histories


@pytest.fixture(scope="module")
def one_chain(tmp_path_factory):
    """A folder with a finished chain, for tests of what is then found."""
    folder = tmp_path_factory.mktemp("one")
    trained(folder, count=1)
    return folder


@pytest.fixture
def finished(one_chain, tmp_path):
    """A copy of one_chain in the test's own folder."""
    return shutil.copytree(one_chain, tmp_path, dirs_exist_ok=True)


@pytest.mark.parametrize(
    "sampler", ["SGLD", pytest.param("SGHMC", marks=pytest.mark.slow)]
)
def test_each_chain_is_the_run_of_its_seed(tmp_path, sampler):
    # The seeds of the user's optimizer and of the initializer count for nothing.
    model = with_dropout(make(sampler, seed=99), seed=5)
    chains = Chains(model, 3, tmp_path / "chains", seed=11, burn_in=1)
    x, y = data()
    histories = chains.fit(x, y, epochs=3, batch_size=8, verbose=0)
    for chain in range(3):
        keras.utils.set_random_seed(11 + chain)
        alone = with_dropout(make(sampler, seed=11 + chain))
        alone.evaluate(x, y, batch_size=8, steps=1, verbose=0)
        ensemble = WeightEnsemble(tmp_path / f"alone-{chain}", burn_in=1)
        keras.utils.set_random_seed(11 + chain)
        history = fit(alone, 3, [ensemble], shuffle=True)
        found = members(tmp_path / "chains" / f"chain-{chain}", model)
        assert_same(found, members(tmp_path / f"alone-{chain}", alone))
        assert histories[chain] == history


def test_chains_differ_in_all_that_is_random(tmp_path):
    """In weights, order and dropout, if noise is off; in noise, if it alone is on."""
    quiet = make("SGLD", temperature=0.0)
    chains, _ = trained(tmp_path / "all", model=with_dropout(quiet, seed=5))
    one, other = (members(e.members.folder, chains.model) for e in chains.ensembles)
    for a, b in zip(one[-1], other[-1], strict=True):
        assert np.abs(a - b).max() > 1e-3

    def apart(optimizer, folder, model=compiled, shuffle=False):
        model = model(optimizer)
        chains = Chains(model, 2, tmp_path / folder, initial_weights="model")
        chains.fit(*data(), epochs=1, batch_size=8, shuffle=shuffle, verbose=0)
        one, other = (members(e.members.folder, model) for e in chains.ensembles)
        return np.abs(one[0][0] - other[0][0]).max()

    assert apart(make("SGLD", temperature=0.0), "nothing") == 0
    assert apart(make("SGLD", temperature=0.0), "order", shuffle=True) > 1e-5
    assert apart(make("SGLD", temperature=0.0), "dropout", with_dropout) > 1e-3
    assert apart(make("SGLD"), "noise") > 1e-3


def test_random_numbers_of_other_code_are_those_of_the_seed(tmp_path):
    """The user's own, in a generator of data or a callback."""

    class Draw(keras.callbacks.Callback):
        drawn = []

        def on_train_begin(self, logs=None):
            self.drawn.append((random.random(), np.random.random()))

    chains = Chains(compiled(make("SGLD")), 2, tmp_path, seed=5)
    chains.fit(*data(), verbose=0, callbacks=[Draw()])
    for seed, drawn in zip((5, 6), Draw.drawn, strict=True):
        keras.utils.set_random_seed(seed)
        assert drawn == (random.random(), np.random.random())


def test_noise_of_chains_is_uncorrelated(tmp_path):
    """Two chains from one point, whose moves are nearly all noise."""
    layer = keras.layers.Dense(300, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((100,)), layer])
    model.compile(SGLD(1e-3, temperature=1.0), "mse")
    chains = Chains(model, 2, tmp_path)
    x, y = np.zeros((4, 100), "float32"), np.zeros((4, 300), "float32")
    chains.fit(x, y, verbose=0)
    one, other = (members(e.members.folder, model)[0][0] for e in chains.ensembles)
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(one.size)
    # Both are of the size that the rule says, within five standard errors.
    expected = np.sqrt(2 * 1e-3)
    np.testing.assert_allclose([one.std(), other.std()], expected, rtol=0.021)


def test_chains_begin_at_the_weights_of_the_model_on_request(tmp_path):
    class Begin(keras.callbacks.Callback):
        begun = []

        def on_train_begin(self, logs=None):
            self.begun.append(self.model.get_weights())

    model = compiled(make("SGLD"))
    own = model.get_weights()
    chains = Chains(model, 3, tmp_path, initial_weights="model")
    chains.fit(*data(), verbose=0, callbacks=[Begin()])
    assert_same(Begin.begun, [own] * 3)


def test_the_model_is_left_as_it_was(tmp_path):
    model = with_dropout(make("SGHMC"))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [as_numpy(v) for v in variables]
    chains, _ = trained(tmp_path, model=model)
    chains.predict(data()[0])
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(as_numpy(variable), value)


def test_a_failure_leaves_the_model_as_it_was(tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt  # after the first member is stored

    model = compiled(make("SGLD"))
    own = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        Chains(model, 2, tmp_path).fit(*data(), verbose=0, callbacks=[Fail()])
    assert_same([model.get_weights()], [own])
    assert len(WeightEnsemble(tmp_path / "chain-0")) == 1
    again, histories = trained(tmp_path, model=model)  # and what it left is no matter
    whole, expected = trained(tmp_path / "whole")
    assert histories == expected
    np.testing.assert_array_equal(again.draws(data()[0]), whole.draws(data()[0]))


def test_a_killed_program_goes_on(tmp_path, capsys):
    def run(chain, epoch):
        return processes.start("chained", tmp_path / "killed", chain, epoch)

    killed = run(1, 2)
    chained.main(tmp_path / "whole", -1, 0)
    expected = json.loads(capsys.readouterr().out)
    killed.communicate(timeout=240)
    assert killed.returncode == -9
    assert not (tmp_path / "killed" / "chain-1" / "chain.json").exists()
    assert len(list((tmp_path / "killed" / "chain-1").glob("step-*"))) == 2
    first = tmp_path / "killed" / "chain-0" / "step-000000003.npz"
    stamp = first.stat().st_mtime_ns
    found = json.loads(processes.finish(run(-1, 0)))
    assert found["trained"] == [1, 2] and expected["trained"] == [0, 1, 2]
    assert found["histories"] == expected["histories"]
    assert len(found["histories"][0]["loss"]) == chained.EPOCHS
    assert first.stat().st_mtime_ns == stamp
    model = compiled(make("SGHMC"), normalised=True)
    for chain in range(3):
        folders = [tmp_path / each / f"chain-{chain}" for each in ("killed", "whole")]
        assert_same(*(members(folder, model) for folder in folders))
        names = [sorted(p.name for p in folder.iterdir()) for folder in folders]
        assert names[0] == names[1]


def test_prediction_is_over_all_members_of_all_chains(tmp_path):
    model = compiled(make("SGLD"))
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=9.0)
    chains = Chains(model, 2, tmp_path, max_members=5)
    chains.fit(
        *data(),
        epochs=3,
        verbose=0,
        callbacks=lambda chain: [stop] if chain else None,
    )
    assert [len(each) for each in chains.ensembles] == [3, 2]
    x, _ = data()
    each = np.concatenate([e.draws(x) for e in chains.ensembles]).astype("float64")
    assert each.shape == (5, len(x), 4)
    mean, spread = chains.predict(x, batch_size=5)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spread, each.std(axis=0), rtol=1e-3, atol=1e-6)
    with pytest.raises(ValueError, match=r"as many members of each.*of \[3, 2\]"):
        chains.draws(x)


def test_draws_are_the_outputs_of_each_member(tmp_path):
    chains, _ = trained(tmp_path, count=3, burn_in=1)
    x, _ = data()
    found = chains.draws(x)
    assert found.shape == (3, 2, len(x), 4)
    own = chains.model.get_weights()
    for chain, ensemble in enumerate(chains.ensembles):
        for draw, weights in enumerate(members(ensemble.members.folder, chains.model)):
            chains.model.set_weights(weights)
            expected = as_numpy(keras.ops.softmax(chains.model(x)))
            np.testing.assert_allclose(found[chain, draw], expected, rtol=1e-5)
    chains.model.set_weights(own)


@pytest.mark.slow
def test_a_linear_model_converges_and_its_verdict_says_so(tmp_path):
    """And that of the same chains with their burn-in, from far away, does not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 2)).astype("float32")
    y = x @ np.float32([[1], [-2]]) + rng.normal(size=(32, 1)).astype("float32")
    x, y = np.tile(x, (10, 1)), np.tile(y, (10, 1))  # ten steps an epoch, all data each

    def run(folder, learning_rate, epochs, burn_in):
        far = keras.initializers.RandomNormal(stddev=30)
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer=far)
        model = keras.Sequential([keras.Input((2,)), layer])
        model.compile(SGHMC(learning_rate, momentum=0.8, temperature=1 / 16), "mse")
        settings = {"unit": "step", "frequency": 2, "burn_in": burn_in}
        chains = Chains(model, 4, tmp_path / folder, **settings)
        chains.fit(x, y, epochs=epochs, batch_size=32, shuffle=False, verbose=0)
        # One by one, which takes a linear model less time than Keras's `predict`.
        return [
            [x[:3] @ weights[0] for weights in members(each.members.folder, model)]
            for each in chains.ensembles
        ]

    sound = run("sound", 0.05, epochs=20, burn_in=50)
    sound = diagnostics.convergence(sound, rhat=1.1, ess=15)
    assert sound.converged, sound.verdict
    slow = run("slow", 1e-4, epochs=3, burn_in=0)
    assert "R-hat" in diagnostics.convergence(slow, rhat=1.1, ess=15).verdict


def test_finished_chains_of_other_settings_are_refused(tmp_path):
    trained(tmp_path / "chains")
    cases = [
        ({"seed": 1}, {}, "seed=0 instead of 1"),
        ({"burn_in": 1}, {}, "burn_in=0 instead of 1"),
        ({"frequency": 2}, {}, "frequency=1 instead of 2"),
        ({}, {"epochs": 4}, "epochs=3 instead of 4"),
        ({}, {"batch_size": 4}, "batch_size=8 instead of 4"),
        ({"initial_weights": "model"}, {}, "initial_weights='new' instead of"),
    ]
    for settings, arguments, words in cases:
        chains = Chains(compiled(make("SGLD")), 2, tmp_path / "chains", **settings)
        with pytest.raises(ValueError, match=f"of these settings.*{words}"):
            chains.fit(*data(), **{"epochs": 3, "batch_size": 8, **arguments})
    optimizers = [
        (make("SGLD", temperature=0.5), "optimizer.temperature=0.0.* instead of 0.5"),
        (make("SGHMC"), "optimizer='SGLD' instead of 'SGHMC'"),
    ]
    for optimizer, words in optimizers:
        with pytest.raises(ValueError, match=f"is finished with {words}"):
            trained(tmp_path / "chains", model=compiled(optimizer))


def test_weights_that_chains_began_with_are_known_again(tmp_path):
    trained(tmp_path, initial_weights="model")
    trained(tmp_path, initial_weights="model")
    other = compiled(make("SGLD"))
    other.set_weights([weight + 1 for weight in other.get_weights()])
    with pytest.raises(ValueError, match="is finished with initial_weights="):
        trained(tmp_path, model=other, initial_weights="model")


def test_more_chains_may_follow(finished, tmp_path_factory):
    chains, histories = trained(finished, count=3)
    whole, expected = trained(tmp_path_factory.mktemp("whole"), count=3)
    assert histories == expected
    np.testing.assert_array_equal(chains.draws(data()[0]), whole.draws(data()[0]))


def test_a_finished_chain_without_its_members_is_refused(tmp_path):
    chains, _ = trained(tmp_path)
    chains.ensembles[1].members.path(3).unlink()
    with pytest.raises(ValueError, match="hold the file of every member.*chain-1"):
        trained(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_spoilt_record_is_named(finished, text):
    chains = Chains(compiled(make("SGLD")), 1, finished)
    (finished / "chain-0" / "chain.json").write_text(text)
    for use in (lambda: trained(finished), lambda: chains.predict(data()[0])):
        with pytest.raises(ValueError, match="chain.json is no record of a chain"):
            use()


def test_nothing_is_predicted_before_all_chains_are_finished(finished):
    more = Chains(compiled(make("SGLD")), 3, finished)
    for use in (more.predict, more.draws):
        with pytest.raises(ValueError, match="call `fit`.*without chain 1, 2"):
            use(data()[0])


def test_progress_names_the_chain(tmp_path, capsys):
    trained(tmp_path, count=1)
    assert capsys.readouterr().out == ""
    chains = Chains(compiled(make("SGLD")), 2, tmp_path)
    chains.fit(*data(), epochs=3, batch_size=8, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Chain 1/2: finished before", "Chain 2/2", "Epoch 1/3"]


def test_validation_data_and_metrics_are_those_of_fit(tmp_path):
    model = compiled(make("SGLD"), metrics=["accuracy"])
    chains = Chains(model, 2, tmp_path)
    histories = chains.fit(*data(), epochs=2, verbose=0, validation_data=data())
    for history in histories:
        assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(history)
        assert len(history["val_loss"]) == 2


def test_a_history_of_numpy_numbers_is_kept(tmp_path):
    class Log(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["number"], logs["array"] = np.float32(0.1), np.arange(2)

    for _ in range(2):  # run, and read
        chains = Chains(compiled(make("SGLD")), 1, tmp_path)
        [history] = chains.fit(*data(), verbose=0, callbacks=[Log()])
        assert history["number"] == [float(np.float32(0.1))]
        assert history["array"] == [[0, 1]]


def test_a_wrapped_optimizer_and_one_without_noise(tmp_path):
    wrapped = keras.optimizers.LossScaleOptimizer(make("SGLD"), initial_scale=1.0)
    chains, _ = trained(tmp_path / "wrapped", model=compiled(wrapped))
    assert np.ptp(chains.draws(data()[0]), axis=0).max() > 1e-3
    model = compiled(keras.optimizers.Adam(0.05))
    chains, _ = trained(tmp_path / "adam", model=model)
    assert np.ptp(chains.draws(data()[0]), axis=0).max() > 1e-3


def test_the_loss_may_be_a_function_that_keras_does_not_know_by_name(tmp_path):
    def loss(labels, outputs):
        return keras.ops.square(labels - outputs[..., 0]) / 2

    model = small_model()
    assert isinstance(model, keras.Sequential)
    model.compile(make("SGLD"), loss)
    chains, _ = trained(tmp_path, model=model, activation="linear")
    x, _ = data()
    assert chains.predict(x).mean.shape[0] == len(x)
    assert model.compiled


def test_models_that_cannot_be_used_are_named(tmp_path):
    class Own(keras.Model):
        def call(self, x):
            return x

    subclassed = Own()
    subclassed.compile("sgd", "mse")
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    used = compiled(make("SGLD"))
    fit(used, 1, [])
    cases = [
        ("model", "`model` must be a compiled Keras model. Received: model='model'"),
        (small_model(), "`model` must be a compiled Keras model"),
        (subclassed, "`model` must be sequential or functional"),
        (unbuilt, "`model` must be built"),
        (used, "made no step: compile it anew. Received: optimizer='sgld.*' after 3"),
    ]
    for model, words in cases:
        with pytest.raises(ValueError, match=words):
            Chains(model, 2, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"chains": 0}, "`chains` must be an integer >= 1"),
        ({"directory": None}, "`directory` must be the path of a directory"),
        ({"directory": ""}, "`directory` must be .* not empty"),
        ({"activation": "foo"}, "`activation` must be a function, its name"),
        ({"seed": None}, "`seed` must be an integer >= 0"),
        ({"seed": -1}, "`seed` must be an integer >= 0"),
        ({"initial_weights": "old"}, "`initial_weights` must be one of new, model"),
        ({"burn_in": -1}, "`burn_in` must be an integer >= 0"),
        ({"unit": "week"}, "`unit` must be one of epoch, step, cycle"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, words):
    arguments = {"chains": 2, "directory": tmp_path, **arguments}
    with pytest.raises(ValueError, match=words):
        Chains(compiled(make("SGLD")), **arguments)


@pytest.mark.parametrize("directory", ["/proc/chains", "/proc"])
def test_a_directory_that_cannot_be_written_is_named(directory):
    words = f"`directory` must be a folder that can be written.*directory='{directory}'"
    with pytest.raises(OSError, match=words):
        trained(directory)


@pytest.mark.parametrize("name", ["x", "validation_data"])
def test_what_the_first_chain_would_use_up_is_named(tmp_path, name):
    x, y = data()
    arguments = {"x": x, "y": y, name: ((x, y) for _ in range(9))}
    if name == "x":
        del arguments["y"]
    words = f"`{name}` must be iterable once a chain.*Received: {name}=<generator"
    with pytest.raises(ValueError, match=words):
        Chains(compiled(make("SGLD")), 2, tmp_path / "chains").fit(**arguments)
    assert not (tmp_path / "chains").exists()


def test_a_second_process_is_kept_out_of_the_chains(tmp_path):
    process = processes.hold(tmp_path)
    with pytest.raises(BlockingIOError, match=f"in use by process {process.pid} on"):
        trained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    process.communicate("")
    trained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain-0", "chain-1"]


def test_a_loss_that_says_no_activation_is_refused_at_once(tmp_path):
    model = compiled(make("SGLD"))
    model.compile(make("SGLD"), lambda y_true, y_pred: keras.ops.square(y_pred))
    with pytest.raises(ValueError, match="`activation` must be given"):
        Chains(model, 2, tmp_path / "chains")
    assert not (tmp_path / "chains").exists()
