"""A SavedModel in a Keras model trains, saves and loads as any other layer."""

import shutil
import subprocess
import sys
import tarfile

import keras
import numpy as np
import pytest

import keras_asgld
from keras_asgld import models
from keras_asgld.models import HubLayer

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are TensorFlow's", allow_module_level=True)
import tensorflow as tf

from tests.support import processes
from tests.support.faults import damaged
from tests.support.modules import (
    write_frozen,
    write_reusable,
    write_signatures,
    write_tensorflow_1,
)

X = np.random.RandomState(1).normal(size=(32, 6)).astype("float32")
Y = X[:, :1] + 0.5


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("module") / "reusable"
    write_reusable(folder)
    return str(folder)


def model_of(layer, optimizer="sgd", **compile_arguments):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.compile(optimizer=optimizer, loss="mse", **compile_arguments)
    return model


def values(variables):
    return [variable.numpy().copy() for variable in variables]


def moved(layer, before):
    return [
        not np.array_equal(a, b)
        for a, b in zip(before, values(layer.weights), strict=True)
    ]


def test_variables_are_the_modules_own_with_clean_and_different_paths(handle):
    layer = HubLayer(handle, trainable=True, name="hub")
    paths = [variable.path for variable in layer.trainable_variables]
    assert paths == ["hub/block_w", "hub/block_w_2"]
    assert [v.path for v in layer.non_trainable_variables] == ["hub/moving_mean"]
    before = layer(X).numpy()
    layer.trainable_variables[1].assign(2.0 * np.ones(4))
    np.testing.assert_allclose(layer(X).numpy(), 2.0 * before, rtol=1e-6)


def test_only_a_trainable_layer_moves_and_trainable_can_be_flipped(handle):
    layer = HubLayer(handle)
    assert layer.trainable_variables == [] and layer.trainable is False
    model = model_of(layer)
    before = values(layer.weights)
    model.fit(X, Y, verbose=0)
    assert moved(layer, before) == [False] * 3

    layer.trainable = True
    model.compile(optimizer="sgd", loss="mse")
    model.fit(X, Y, verbose=0)
    assert moved(layer, before) == [True] * 3

    layer.trainable = False
    model.compile(optimizer="sgd", loss="mse")
    before = values(layer.weights)
    model.fit(X, Y, verbose=0)
    assert moved(layer, before) == [False] * 3


def test_statistics_move_in_training_mode_only(handle):
    layer = HubLayer(handle, trainable=True)
    before = values(layer.weights)
    model = model_of(layer)
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert moved(layer, before) == [False] * 3
    layer(X, training=True)
    np.testing.assert_allclose(
        layer.non_trainable_variables[0].numpy(),
        0.5 * np.mean(X @ before[0], 0),
        rtol=1e-5,
        atol=1e-7,
    )


def test_regularization_counts_while_the_layer_is_trainable(handle):
    layer = HubLayer(handle, trainable=True)
    model = model_of(layer)
    penalty = 0.01 * np.sum(np.square(layer.trainable_variables[0].numpy()))

    def surplus():
        error = np.mean(np.square(model.predict(X, verbose=0) - Y))
        return model.evaluate(X, Y, verbose=0) - error

    assert surplus() == pytest.approx(penalty, rel=1e-4)
    layer.trainable = False
    model.compile(optimizer="sgd", loss="mse")
    assert surplus() == pytest.approx(0.0, abs=1e-5)


def test_arguments_reach_the_module(handle):
    doubled = HubLayer(handle, arguments={"gain": 2.0})
    np.testing.assert_allclose(doubled(X), 2.0 * HubLayer(handle)(X), rtol=1e-6)


def test_shapes_are_inferred(handle):
    assert HubLayer(handle)(keras.Input((6,))).shape == (None, 4)


def test_an_input_of_another_shape_is_refused_in_a_few_words(handle, tmp_path):
    write_signatures(tmp_path / "signatures")
    for path in (handle, str(tmp_path / "signatures")):
        layer = HubLayer(path)
        for inputs in (keras.Input((5,)), np.ones((2, 6, 1), "float32")):
            with pytest.raises(ValueError, match="expected") as caught:
                layer(inputs)
            assert len(str(caught.value)) < 200, str(caught.value)
            assert "6" in str(caught.value)
            assert f"with name 'x' of layer '{layer.name}'" in str(caught.value)


def test_wrong_inputs_of_several_are_named(tmp_path):
    write_signatures(tmp_path / "signatures")
    layer = HubLayer(tmp_path / "signatures", signature="both")
    x, wrong = X, X[:, :5]
    with pytest.raises(ValueError, match=r"with name 'b' .* shape=\(None, 6\)"):
        layer({"a": x, "b": wrong})
    with pytest.raises(ValueError, match='Missing data for input "b"'):
        layer({"a": x})
    with pytest.raises(ValueError, match=r"inputs? with keys|keys \['a', 'b'\]"):
        layer(x)


def test_inputs_for_which_there_is_no_graph_are_told_from_those_there_are(tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(lambda x: 2.0 * x)
    for shape in ((None, 6), (None, 6, 6)):
        module.__call__.get_concrete_function(tf.TensorSpec(shape))
    tf.saved_model.save(module, str(tmp_path / "two"))
    layer = HubLayer(tmp_path / "two", name="hub")
    np.testing.assert_array_equal(layer(X), 2.0 * X)
    graphs = r"float32 of shape \(None, 6\) or float32 of shape \(None, 6, 6\)"
    for inputs, received in (
        (X[:, :5], r"float32 of shape \(32, 5\)"),
        (X.astype("int32"), r"int32 of shape \(32, 6\)"),
        ({"a": X}, r"{'a': float32 of shape \(32, 6\)}"),
        (keras.Input((5,)), r"float32 of shape \(None, 5\)"),
    ):
        words = rf"input of layer 'hub' must be {graphs}. Received: {received}"
        with pytest.raises(ValueError, match=words):
            layer(inputs)


def test_an_error_of_the_modules_own_is_not_hidden(handle):
    layer = HubLayer(handle, arguments={"gain": 3.0})  # for which there is no graph
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        layer(X)


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "asgld": lambda: keras_asgld.ASGLD(0.01, seed=0),
    "sgld": lambda: keras_asgld.SGLD(0.01, temperature=1e-6, seed=0),
    "psgld": lambda: keras_asgld.PSGLD(0.01, temperature=1e-6, seed=0),
    "sghmc": lambda: keras_asgld.SGHMC(0.001, 0.9, temperature=1e-6, seed=0),
}


@pytest.mark.parametrize(
    "optimizer",
    [
        name
        if name in ("momentum", "asgld")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in OPTIMIZERS
    ],
)
def test_every_optimizer_trains_it(handle, optimizer):
    layer = HubLayer(handle, trainable=True)
    model = model_of(layer, OPTIMIZERS[optimizer]())
    before, first = values(layer.weights), model.evaluate(X, Y, verbose=0)
    model.fit(X, Y, epochs=15, verbose=0)
    assert moved(layer, before) == [True] * 3
    assert model.evaluate(X, Y, verbose=0) < 0.9 * first


@pytest.mark.parametrize("optimizer", ["asgld", "sgld", "psgld", "sghmc"])
def test_the_family_builds_on_names_with_colons(handle, optimizer):
    layer = keras.layers.TFSMLayer(handle, call_endpoint="__call__")
    assert any(":" in variable.name for variable in layer.trainable_variables)
    model = model_of(layer, OPTIMIZERS[optimizer](), run_eagerly=True)
    before = values(layer.trainable_variables)
    model.fit(X, Y, verbose=0)
    after = values(layer.trainable_variables)
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_noise_can_be_kept_off_the_module(handle):
    def trained(seed):
        keras.utils.set_random_seed(0)
        layer = HubLayer(handle, trainable=True, name="hub")
        optimizer = keras_asgld.ASGLD(0.01, seed=seed)
        optimizer.exclude_from_noise(var_names=["^hub/"])
        model = model_of(layer, optimizer, run_eagerly=True)
        model.fit(X, Y, batch_size=32, verbose=0, shuffle=False, epochs=1)
        return values(layer.trainable_variables), values(model.layers[-1].weights)

    (hub, head), (other_hub, other_head) = trained(0), trained(1)
    np.testing.assert_array_equal(hub[0], other_hub[0])
    assert not np.array_equal(head[0], other_head[0])


def test_the_step_is_not_compiled_by_xla_unless_asked(handle):
    layer = HubLayer(handle, trainable=True)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile"):
        model = model_of(layer, "adam", jit_compile=True)
    assert model.jit_compile is False
    model.fit(X, Y, verbose=0)
    layer.supports_jit = True
    model.compile("adam", "mse", jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError):  # what was spared the user
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_a_mixed_policy_leaves_the_module_in_its_own_dtype(handle, policy):
    layer = HubLayer(handle, trainable=True, dtype=policy)
    compute = keras.dtype_policies.get(policy).compute_dtype
    outputs = layer(keras.ops.cast(X, compute))
    assert keras.backend.standardize_dtype(outputs.dtype) == compute
    assert {variable.dtype for variable in layer.weights} == {"float32"}
    inputs = keras.ops.convert_to_numpy(keras.ops.cast(X, compute)).astype("float32")
    whole = HubLayer(handle)(inputs)
    np.testing.assert_array_equal(outputs, keras.ops.cast(whole, compute))
    before = values(layer.weights)
    model_of(layer, "adam").fit(X, Y, verbose=0)
    assert moved(layer, before) == [True] * 3


def test_signatures_of_a_module_that_cannot_be_called(tmp_path):
    write_signatures(tmp_path / "m")
    layer = HubLayer(tmp_path / "m", trainable=True)
    assert [v.path.rpartition("/")[2] for v in layer.trainable_variables] == ["w"]
    model_of(layer, "adam").fit(X, Y, verbose=0)
    w = layer.trainable_variables[0].numpy()
    assert not np.array_equal(w, np.ones((6, 2)))
    np.testing.assert_allclose(layer(X), X @ w, rtol=1e-5, atol=1e-5)

    both = HubLayer(tmp_path / "m", signature="both")({"a": X, "b": X})
    assert sorted(both) == ["difference", "sum"]
    np.testing.assert_array_equal(both["difference"], np.zeros_like(X))


LOAD = """
import sys, keras, keras_asgld.models, numpy as np
model = keras.models.load_model(sys.argv[1], safe_mode=False)
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
"""


def test_a_saved_model_predicts_the_same_in_a_new_process(handle, tmp_path):
    model = model_of(HubLayer(handle, trainable=True), keras_asgld.ASGLD(0.01, seed=0))
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    names = [str(tmp_path / name) for name in ("model.keras", "y.npy", "x.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *names], check=True)
    predicted = model.predict(X, verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), predicted)

    with pytest.raises(ValueError, match="safe_mode=False"):
        keras.models.load_model(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=False)
    for one in (model, again):  # training goes on alike, noise and all
        one.fit(X, Y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_replicas_train_like_one_device(handle, tmp_path):
    printed = processes.finish(processes.start("devices.hub_mirrored", handle))
    assert printed.split() == ["replicas", "equal", "device", "equal"]


def test_weights_are_saved_whether_trainable_or_not(handle, tmp_path):
    model = model_of(HubLayer(handle, trainable=True))
    model.fit(X, Y, verbose=0)
    model.layers[1].trainable = False
    model.save_weights(tmp_path / "w.weights.h5")
    fresh = model_of(HubLayer(handle))
    fresh.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(fresh(X), model(X))


def test_settings_survive_a_clone(handle):
    layer = HubLayer(
        handle,
        trainable=True,
        arguments={"gain": 2.0},
        max_unpacked_bytes=10**6,
        name="hub",
    )
    again = HubLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def pack(path, folder, **names):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, **names)
    return path


@pytest.fixture(params=["as it is", "before 3.11.4"])
def python(request, monkeypatch):
    if request.param != "as it is":
        monkeypatch.delattr(tarfile, "data_filter")


@pytest.mark.parametrize("root", [".", "module"])
def test_an_archive_is_unpacked_once(handle, tmp_path, monkeypatch, root, python):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    path = pack(tmp_path / "module.tar.gz", handle, arcname=root)
    layer = HubLayer(path, trainable=True)
    np.testing.assert_array_equal(layer(X), HubLayer(handle)(X))
    (folder,) = (tmp_path / "cache").iterdir()
    before = folder.stat().st_ino
    # Another name of the same bytes is the same module, and is not unpacked again.
    HubLayer(shutil.copy(path, tmp_path / "again.tgz"))
    assert [f.stat().st_ino for f in (tmp_path / "cache").iterdir()] == [before]
    # Other bytes under the same name are another module.
    write_frozen(tmp_path / "frozen")
    pack(path, tmp_path / "frozen", arcname=".")
    np.testing.assert_array_equal(HubLayer(path)(X), 2.0 * X)


def test_a_damaged_archive_is_named_and_leaves_nothing(
    handle, tmp_path, monkeypatch, python
):
    cache = tmp_path / "cache"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
    whole = pack(tmp_path / "whole.tar.gz", handle, arcname=".").read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    damaged = {
        "empty": b"",
        "text": b"no archive",
        "cut": whole[: len(whole) // 2],
        "broken": bytes(broken),
    }
    with tarfile.open(tmp_path / "escapes", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    for name in (*damaged, "escapes"):
        message = "a sound tar archive.*Received: handle="
        with pytest.raises(ValueError, match=message) as caught:
            HubLayer(tmp_path / name)
        assert "method" not in str(caught.value)  # of which tarfile tries many
        assert list(cache.iterdir()) == [], name
    assert not (tmp_path / "outside").exists()
    # A sound archive of something else.
    path = pack(tmp_path / "other.tar.gz", tmp_path / "text", arcname="notes.txt")
    with pytest.raises(ValueError, match="with a SavedModel.* which holds none"):
        HubLayer(path)


def test_what_an_archive_may_take_is_limited(handle, tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    path = pack(tmp_path / "module.tar.gz", handle, arcname=".")
    with pytest.raises(ValueError, match="at most `max_unpacked_bytes`, 9,999, when"):
        HubLayer(path, max_unpacked_bytes=9_999)
    with pytest.raises(ValueError, match="at most `max_unpacked_bytes`, 9,999, when"):
        models.build(f"hub/{path}", (6,), 2, max_unpacked_bytes=9_999)
    for wrong in (0, None, 1e9):
        with pytest.raises(ValueError, match="`max_unpacked_bytes` must be an integer"):
            HubLayer(path, max_unpacked_bytes=wrong)
    assert HubLayer(path, max_unpacked_bytes=10**6)(X).shape == (32, 4)


@pytest.mark.parametrize(
    "name",
    [
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    ],
)
def test_a_damaged_savedmodel_is_named(handle, tmp_path, name):
    shutil.copytree(handle, tmp_path / "module")
    path = tmp_path / "module" / name
    whole = path.read_bytes()
    refused = 0
    for seed in range(12):
        path.write_bytes(damaged(whole, seed))
        try:
            HubLayer(tmp_path / "module")  # TensorFlow keeps no checksum of the graph
        except ValueError as error:
            assert "`handle` is no sound SavedModel" in str(error)
            refused += 1
    assert refused > 8


def test_the_folder_must_hold_a_savedmodel_of_tensorflow_2(handle, tmp_path):
    def refused(handle, match, **arguments):
        with pytest.raises(ValueError, match=match + ".* Received: .*="):
            HubLayer(handle, **arguments)

    refused(tmp_path / "absent", "`handle`")
    refused(tmp_path, "`handle` .*saved_model.pb")
    refused(7, "`handle` must be the path")
    refused("", "`handle` must be the path")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"no model")
    refused(tmp_path / "broken", "`handle` is no sound SavedModel")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "tfhub_module.pb").write_bytes(b"\x08\x03")
    refused(tmp_path / "old", "`handle` must be a TF2 SavedModel.* Hub format")
    write_tensorflow_1(tmp_path / "one")
    words = "`handle` must be a TF2 SavedModel.* TensorFlow 1's graph format.* without"
    refused(tmp_path / "one", f"{words} functions that can be trained")
    refused(handle, "`arguments` must be a dictionary", arguments=[1])
    refused(handle, "`signature` must name", signature="absent")
    write_frozen(tmp_path / "frozen")
    refused(tmp_path / "frozen", "`trainable` must be False", trainable=True)
    np.testing.assert_array_equal(HubLayer(tmp_path / "frozen")(X), 2.0 * X)
