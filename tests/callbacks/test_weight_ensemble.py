import json
import os
import tracemalloc
import warnings
import zipfile

import keras
import numpy as np
import pytest

from keras_asgld import WeightEnsemble
from tests.support.monitored import STEPS, as_numpy, compiled, data, fit, make


class Keep(keras.callbacks.Callback):
    """All weights after each epoch and after each step."""

    def on_train_begin(self, logs=None):
        self.epochs, self.steps = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


def uncompiled(optimizer, **others):
    """A model whose steps, a few, take less time than to compile them would."""
    return compiled(optimizer, run_eagerly=True, **others)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def by_hand(model, weights, x, of=softmax):
    """Mean and standard deviation of the probabilities of explicit members."""
    own, outputs = model.get_weights(), []
    for each in weights:
        model.set_weights(each)
        outputs.append(of(as_numpy(model(x)).astype("float64")))
    model.set_weights(own)
    return np.mean(outputs, 0), np.std(outputs, 0)


def stored(ensemble):
    model = ensemble.model
    own, weights = model.get_weights(), []
    for step in ensemble.members.steps():
        ensemble.members.load(step, model)
        weights.append(model.get_weights())
    model.set_weights(own)
    return weights


def assert_same(weights, others):
    assert len(weights) == len(others) > 0
    for one, other in zip(weights, others, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_mean_and_spread_are_those_of_explicit_members(tmp_path):
    ensemble, keep = WeightEnsemble(tmp_path, burn_in=1), Keep()
    model = compiled(make("SGLD"), normalised=True)
    fit(model, 4, [ensemble, keep])
    own = model.get_weights()
    x, _ = data()
    # Batch normalisation has statistics of its own in each member.
    statistics = [weights[4] for weights in keep.epochs]
    assert not np.allclose(statistics[1], statistics[2])
    prediction = ensemble.predict(x, batch_size=5)
    mean, spread = by_hand(model, keep.epochs[1:], x)
    np.testing.assert_allclose(prediction.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(prediction.spread, spread, rtol=1e-3, atol=1e-6)
    assert_same([own], [model.get_weights()])


def test_prediction_in_the_midst_of_training_leaves_no_trace(tmp_path):
    class Predict(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            ensemble.predict(data()[0])

    ensemble = WeightEnsemble(tmp_path)
    plain, watched = uncompiled(make("SGHMC")), uncompiled(make("SGHMC"))
    fit(plain, 2, [])
    fit(watched, 2, [ensemble, Predict()])
    assert_same([plain.get_weights()], [watched.get_weights()])


def test_probabilities_are_not_made_in_half_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        ensemble = WeightEnsemble(tmp_path)
        fit(uncompiled(make("ASGLD")), 2, [ensemble])
        mean = ensemble.predict(data()[0]).mean
        one_model = ensemble.as_model().predict(data()[0], verbose=0)
        for probabilities in (mean, one_model):
            sums = probabilities.astype("float64").sum(-1)
            np.testing.assert_allclose(sums, 1, atol=1e-6)
        # Processors with float16 (avx512_fp16) round the layers before them
        # differently in two graphs: by half's spacing, below 1.
        np.testing.assert_allclose(mean, one_model, atol=2**-11)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_half_precision_members(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        ensemble = WeightEnsemble(tmp_path)
        model = uncompiled(make("ASGLD"))
        fit(model, 1, [ensemble])
        assert_same(stored(ensemble), [model.get_weights()])
        assert np.isfinite(ensemble.predict(data()[0]).mean).all()
    finally:
        keras.config.set_dtype_policy("float32")


def test_as_model_saves_and_loads_without_this_package(tmp_path):
    ensemble = WeightEnsemble(tmp_path / "members")
    fit(uncompiled(make("ASGLD"), normalised=True), 3, [ensemble])
    x, _ = data()
    mean = ensemble.predict(x).mean
    network = ensemble.as_model()
    np.testing.assert_allclose(network.predict(x, verbose=0), mean, rtol=1e-5)
    path = tmp_path / "ensemble.keras"
    network.save(path)
    with zipfile.ZipFile(path) as file:
        assert b"keras_asgld" not in file.read("config.json")
    again = keras.saving.load_model(path)
    np.testing.assert_allclose(again.predict(x, verbose=0), mean, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel")
def test_as_model_exports(tmp_path):
    import tensorflow as tf

    ensemble = WeightEnsemble(tmp_path / "members")
    fit(uncompiled(make("ASGLD")), 2, [ensemble])
    x, _ = data()
    ensemble.as_model().export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(x), ensemble.predict(x).mean, rtol=1e-5)


@pytest.mark.parametrize(
    "settings, steps",
    [
        ({"unit": "step", "frequency": 2}, [2, 4, 6, 8, 10, 12]),
        ({"unit": "step", "frequency": 4, "burn_in": 3}, [7, 11]),
        ({"frequency": 2, "burn_in": 1}, [9]),
        ({"unit": "step", "max_members": 3}, [10, 11, 12]),
    ],
)
def test_when_members_are_taken(tmp_path, settings, steps):
    ensemble, keep = WeightEnsemble(tmp_path, **settings), Keep()
    fit(uncompiled(make("ASGLD")), 4, [ensemble, keep])
    manifest = json.loads((tmp_path / "ensemble.json").read_text())
    assert [member["step"] for member in manifest["members"]] == steps
    files = {member["weights"] for member in manifest["members"]}
    assert files | {"ensemble.json"} == {path.name for path in tmp_path.iterdir()}
    assert_same(stored(ensemble), [keep.steps[step - 1] for step in steps])


def test_a_member_at_the_end_of_each_cycle(tmp_path):
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 4, 1.0)
    ensemble = WeightEnsemble(tmp_path, unit="cycle", burn_in=1)
    fit(compiled(make("SGLD", learning_rate=schedule)), 4, [ensemble])
    # Cycles end after steps 4, 8 and 12.
    assert ensemble.members.steps() == [8, 12]
    with pytest.raises(ValueError, match="needs a learning rate that is a schedule"):
        fit(compiled(make("SGLD")), 1, [WeightEnsemble(tmp_path / "a", unit="cycle")])


def test_the_rate_is_read_once_a_step_and_its_schedule_traced_once(tmp_path):
    calls = []

    class Counted(keras.optimizers.schedules.CosineDecayRestarts):
        def __call__(self, step):
            calls.append(step)
            return super().__call__(step)

    schedule = Counted(0.05, 5, t_mul=1.0)
    ensemble = WeightEnsemble(tmp_path, unit="cycle")
    fit(compiled(make("SGLD", learning_rate=schedule)), 10, [ensemble])
    assert ensemble.members.steps() == [5, 10, 15, 20, 25, 30]
    if keras.backend.backend() == "torch":  # where the optimizer calls it, too
        assert len(calls) <= 2 * 10 * STEPS + 3
    else:
        assert len(calls) <= 5


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch has no steps_per_execution"
)
def test_within_an_execution_of_several_steps(tmp_path):
    ensemble = WeightEnsemble(tmp_path, unit="step", frequency=2)
    fit(compiled(make("ASGLD"), steps_per_execution=STEPS), 2, [ensemble])
    assert ensemble.members.steps() == [3, 6]


@pytest.mark.parametrize(
    "settings",
    [
        {"unit": "epoch", "burn_in": 1},
        {"unit": "step", "frequency": 2},
        {"unit": "cycle"},
    ],
)
def test_a_run_that_is_continued_ends_with_the_same_members(tmp_path, settings):
    def begin(folder):
        schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 5, 1.0)
        model = compiled(make("SGLD", learning_rate=schedule))
        return model, WeightEnsemble(folder, max_members=3, **settings)

    model, whole = begin(tmp_path / "whole")
    fit(model, 5, [whole])

    model, ensemble = begin(tmp_path / "parts")
    fit(model, 2, [ensemble])
    model.save(tmp_path / "model.keras")
    # The process goes on for an epoch, and is killed in the midst of a member.
    fit(model, 3, [ensemble], initial_epoch=2)
    (tmp_path / "parts" / ".partial-1-step-000000010.npz").write_text("half")

    model = keras.saving.load_model(tmp_path / "model.keras")
    _, ensemble = begin(tmp_path / "parts")
    fit(model, 5, [ensemble], initial_epoch=2)
    assert ensemble.members.steps() == whole.members.steps()
    assert_same(stored(ensemble), stored(whole))
    assert not list((tmp_path / "parts").glob(".partial-*"))


def test_with_backup_and_restore(tmp_path):
    def begin(folder, **others):
        ensemble = WeightEnsemble(tmp_path / folder, burn_in=1)
        backup = keras.callbacks.BackupAndRestore(tmp_path / f"backup-{folder}")
        return uncompiled(make("ASGLD")), [ensemble, backup, *others.values()]

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    model, callbacks = begin("parts", interrupt=Interrupt())
    with pytest.raises(KeyboardInterrupt):
        fit(model, 5, callbacks)
    (parts, whole) = begin("parts"), begin("whole")
    for model, callbacks in (parts, whole):
        fit(model, 5, callbacks)
    (_, (ensemble, _)), (_, (other, _)) = parts, whole
    assert ensemble.members.steps() == [6, 9, 12, 15] == other.members.steps()
    assert_same(stored(ensemble), stored(other))


def test_a_new_run_in_an_old_directory_starts_a_new_ensemble(tmp_path):
    fit(uncompiled(make("ASGLD")), 3, [WeightEnsemble(tmp_path)])
    ensemble = WeightEnsemble(tmp_path)
    with pytest.warns(UserWarning, match="held an ensemble of 3 members"):
        fit(uncompiled(make("ASGLD")), 1, [ensemble])
    assert ensemble.members.steps() == [STEPS]


def assert_refused(model, folder, **others):
    """By `fit`, which leaves the members and the model as they were."""
    before, own = folder_of(folder), model.get_weights()
    with pytest.raises(ValueError, match="`directory` must hold members of this run"):
        fit(model, 5, [WeightEnsemble(folder)], **others)
    assert folder_of(folder) == before
    assert_same([own], [model.get_weights()])


def folder_of(path):
    return {each.name: each.read_bytes() for each in path.iterdir()}


@pytest.mark.parametrize("name", ["ASGLD", "Adam"])
def test_a_run_of_other_weights_in_an_old_directory_is_refused(tmp_path, name):
    def begin():
        return uncompiled("adam" if name == "Adam" else make(name))

    fit(begin(), 2, [WeightEnsemble(tmp_path)])
    other = begin()
    other.layers[0].bias.assign([0.0, 0.0, 0.0, 1e-6])
    assert_refused(other, tmp_path)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_run_of_other_noise_in_an_old_directory_is_refused(tmp_path, wrapped):
    def begin(seed):
        optimizer = make("SGHMC", seed=seed)
        if wrapped:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return uncompiled(optimizer)

    fit(begin(7), 3, [WeightEnsemble(tmp_path)])
    assert_refused(begin(8), tmp_path)
    assert_refused(uncompiled("adam"), tmp_path)
    # Nor does one that has done as many steps elsewhere take up what it finds.
    for epochs in (2, 3, 4):
        elsewhere = begin(8)
        fit(elsewhere, epochs, [])
        assert_refused(elsewhere, tmp_path, initial_epoch=epochs)


def test_what_a_run_without_members_leaves_is_no_members(tmp_path):
    ensemble = WeightEnsemble(tmp_path)
    fit(uncompiled(make("SGLD")), 1, [ensemble])
    ensemble.members.cut(0)
    fit(uncompiled(make("SGLD", seed=8)), 2, [ensemble])
    assert_refused(uncompiled(make("SGLD")), tmp_path)


def test_members_of_before_runs_were_told_apart(tmp_path):
    model = uncompiled(make("SGLD"))
    fit(model, 2, [WeightEnsemble(tmp_path)])
    path = tmp_path / "ensemble.json"
    manifest = json.loads(path.read_text())
    del manifest["origin"]
    path.write_text(json.dumps(manifest))
    assert_refused(uncompiled(make("SGLD")), tmp_path)
    ensemble = WeightEnsemble(tmp_path)
    fit(model, 3, [ensemble], initial_epoch=2)
    assert ensemble.members.steps() == [STEPS, 2 * STEPS, 3 * STEPS]


@pytest.mark.parametrize(
    "settings, late",
    [
        ({}, "epoch 2"),
        ({"frequency": 2}, "epoch 2"),
        ({"unit": "step", "frequency": 4}, "step 4"),
        ({"unit": "cycle"}, "cycle 1"),
    ],
)
def test_a_run_that_goes_on_without_its_members_says_so(tmp_path, settings, late):
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 4, 1.0)
    model = uncompiled(make("SGLD", learning_rate=schedule))
    fit(model, 2, [WeightEnsemble(tmp_path / "members", **settings)])
    (tmp_path / "members").rename(tmp_path / "lost")
    ensemble = WeightEnsemble(tmp_path / "members", **settings)
    words = f"lacks what it should hold by then, a member after {late};.* of 0 members"
    with pytest.warns(UserWarning, match=words):
        fit(model, 3, [ensemble], initial_epoch=2)


def test_a_run_that_goes_on_with_older_members_says_so(tmp_path):
    ensemble = WeightEnsemble(tmp_path, burn_in=1)
    model = uncompiled(make("SGLD"))
    fit(model, 3, [ensemble])
    fit(model, 5, [], initial_epoch=3)
    with pytest.warns(UserWarning, match="a member after epoch 5;.* of 2 members"):
        fit(model, 6, [ensemble], initial_epoch=5)
    # A late start is none where burn-in tells of it.
    late = WeightEnsemble(tmp_path / "late", burn_in=6)
    fit(model, 7, [late], initial_epoch=6)
    assert len(late) == 1


def test_a_member_without_its_file_is_refused_before_training(tmp_path):
    ensemble = WeightEnsemble(tmp_path)
    model = uncompiled(make("SGLD"))
    fit(model, 3, [ensemble])
    ensemble.members.path(STEPS).unlink()
    own = model.get_weights()
    with pytest.raises(ValueError, match="hold the file of every member.*000003.npz"):
        fit(model, 4, [ensemble], initial_epoch=3)
    assert_same([own], [model.get_weights()])


@pytest.mark.slow
def test_fifty_members_predict_in_the_room_of_one(tmp_path):
    model = keras.Sequential([keras.Input((500,)), keras.layers.Dense(500)])
    ensemble = WeightEnsemble(tmp_path, max_members=50, activation="linear")
    ensemble.set_model(model)
    size = sum(weight.nbytes for weight in model.get_weights())
    for step in range(1, 51):
        ensemble.members.add(step, step, model, 50)
    x = np.ones((8, 500), "float32")
    model.predict(x, verbose=0)  # what is compiled stays

    files = len(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    mean = ensemble.predict(x).mean
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(os.listdir("/proc/self/fd")) == files
    # The model's own weights, a member, copies on the way into the model: not fifty.
    assert peak < 6 * size
    np.testing.assert_allclose(mean, as_numpy(model(x)), rtol=1e-5)


def test_members_of_another_architecture_are_refused(tmp_path):
    fit(uncompiled(make("ASGLD")), 1, [WeightEnsemble(tmp_path)])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.compile(make("ASGLD"), "mse")
    ensemble = WeightEnsemble(tmp_path)
    ensemble.set_model(other)
    words = f"`directory` must hold members of this model.*{STEPS:09d}.npz has weights"
    with pytest.raises(ValueError, match=words):
        ensemble.predict(data()[0])
    x, y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")
    other.fit(x, y, batch_size=1, epochs=STEPS, verbose=0)
    with pytest.raises(ValueError, match=words):
        other.fit(x, y, verbose=0, callbacks=[ensemble])
    ensemble.members.path(STEPS).unlink()
    with pytest.raises(ValueError, match="hold the file of every member"):
        ensemble.predict(data()[0])


def test_another_process_predicts_with_the_same_members(tmp_path):
    model = uncompiled(make("ASGLD"))
    first = WeightEnsemble(tmp_path)
    fit(model, 2, [first])
    other = WeightEnsemble(tmp_path)
    with pytest.raises(ValueError, match="knows no model"):
        other.predict(data()[0])
    other.set_model(uncompiled(make("ASGLD")))
    assert len(other) == 2
    assert_same(first.predict(data()[0]), other.predict(data()[0]))


def test_what_makes_probabilities(tmp_path):
    x, y = data()

    def outputs(loss, y, **arguments):
        model = compiled(make("ASGLD"))
        model.compile("sgd", loss, run_eagerly=True)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        ensemble, keep = WeightEnsemble(folder, **arguments), Keep()
        model.fit(x, y, verbose=0, callbacks=[ensemble, keep])
        return ensemble.predict(x).mean, as_numpy(model(x)).astype("float64")

    logits = keras.losses.CategoricalCrossentropy(from_logits=True)
    one_hot = np.eye(4, dtype="float32")[y]
    mean, raw = outputs(logits, one_hot)
    np.testing.assert_allclose(mean, softmax(raw), rtol=1e-5)
    mean, raw = outputs(keras.losses.BinaryCrossentropy(from_logits=True), one_hot)
    np.testing.assert_allclose(mean, 1 / (1 + np.exp(-raw)), rtol=1e-5)
    mean, raw = outputs("mse", one_hot)
    np.testing.assert_allclose(mean, raw, rtol=1e-5)
    loss = lambda y, p: keras.ops.mean((y - p) ** 2)  # noqa: E731
    mean, raw = outputs(loss, one_hot, activation="softmax")
    np.testing.assert_allclose(mean, softmax(raw), rtol=1e-5)
    with pytest.raises(ValueError, match="`activation` must be given"):
        outputs(loss, one_hot)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"frequency": 0}, "`frequency` must be an integer >= 1"),
        ({"burn_in": -1}, "`burn_in` must be an integer >= 0"),
        ({"max_members": 1.5}, "`max_members` must be an integer >= 1"),
        ({"unit": "week"}, "`unit` must be one of epoch, step, cycle"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        WeightEnsemble(tmp_path, **arguments)


@pytest.mark.parametrize("directory", [None, __file__, f"{__file__}/below"])
def test_what_can_be_no_directory_is_named(directory):
    with pytest.raises(ValueError, match="`directory` must be the path of a directory"):
        WeightEnsemble(directory)


def test_the_empty_path_is_no_directory():
    with pytest.raises(ValueError, match="`directory` must be .* not empty.*=''"):
        WeightEnsemble("")


def test_a_directory_that_cannot_be_written_is_named():
    words = "`directory` must be a folder that can be written. Received: directory='/pr"
    for folder in ("/proc/members", "/proc"):  # where nobody can make files
        with pytest.raises(OSError, match=words):
            fit(uncompiled(make("SGLD")), 1, [WeightEnsemble(folder)])


@pytest.mark.parametrize("value", ["foo", "", 3])
def test_what_is_no_activation_is_named(tmp_path, value):
    with pytest.raises(ValueError, match=f"`activation` must be .*Received.*{value}"):
        WeightEnsemble(tmp_path, activation=value)


@pytest.mark.parametrize("model", ["m", None, keras.layers.Dense(1)])
def test_what_is_no_model_is_named(tmp_path, model):
    with pytest.raises(ValueError, match="`model` must be a Keras model. Received"):
        WeightEnsemble(tmp_path).set_model(model)


def test_weights_that_are_not_finite_are_no_member(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.layers[0].bias.assign([0.0, float("nan"), 0.0, 0.0])

    ensemble, model = WeightEnsemble(tmp_path, max_members=2), uncompiled(make("SGLD"))
    words = "after step 9 are not finite and are not stored.*of 2 members"
    with pytest.warns(UserWarning, match=words) as found:
        fit(model, 5, [ensemble, Spoil()])
    assert len([each for each in found if "finite" in str(each.message)]) == 1
    assert ensemble.members.steps() == [3, 6]
    assert np.isfinite(ensemble.predict(data()[0]).mean).all()
    with pytest.warns(UserWarning) as found:  # and in the next run, too
        fit(model, 6, [ensemble], initial_epoch=5)
    assert any("after step 18 are not finite" in str(each.message) for each in found)


def test_no_examples_are_named(tmp_path):
    ensemble = WeightEnsemble(tmp_path)
    ensemble.set_model(compiled(make("ASGLD")))
    with pytest.raises(ValueError, match="`x` must hold at least one example"):
        ensemble.predict(data()[0][:0])


def test_an_empty_or_spoilt_directory_is_named(tmp_path):
    ensemble = WeightEnsemble(tmp_path)
    ensemble.set_model(compiled(make("ASGLD")))
    with pytest.raises(ValueError, match="`directory` must hold members"):
        ensemble.as_model()
    (tmp_path / "ensemble.json").write_text("{")
    with pytest.raises(ValueError, match=f"{os.sep}ensemble.json is no manifest"):
        ensemble.predict(data()[0])


@pytest.mark.parametrize(
    "settings, words",
    [
        (
            {"burn_in": 3},
            "due after epoch 4, and this one ends after epoch 3.*burn_in=3",
        ),
        ({"frequency": 4}, "due after epoch 4.*frequency=4, epochs=3"),
        ({"unit": "step", "burn_in": 9}, "due after step 10.* ends after step 9"),
        ({"unit": "cycle", "burn_in": 2}, "due after cycle 3.* ends after cycle 2"),
    ],
)
def test_a_run_that_ends_before_its_first_member_says_so_at_once(
    tmp_path, settings, words
):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 4, 1.0)
    model = uncompiled(make("SGLD", learning_rate=schedule))
    ensemble = WeightEnsemble(tmp_path, **settings)
    with pytest.warns(UserWarning, match=words), pytest.raises(KeyboardInterrupt):
        fit(model, 3, [ensemble, Stop()])


@pytest.mark.parametrize(
    "settings",
    [
        {"burn_in": 2},
        {"frequency": 3},
        {"unit": "step", "burn_in": 8},
        {"unit": "cycle", "burn_in": 1},
    ],
)
def test_a_run_that_ends_with_a_member_does_not_warn_of_none(tmp_path, settings):
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 4, 1.0)
    model = uncompiled(make("SGLD", learning_rate=schedule))
    ensemble = WeightEnsemble(tmp_path, **settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "No member will be stored")
        fit(model, 3, [ensemble])
        assert len(ensemble) == 1
        fit(model, 4, [ensemble], initial_epoch=3)
        fit(model, 1, [ensemble])  # which has members, if none of its own
