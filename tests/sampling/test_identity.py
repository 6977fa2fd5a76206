"""Finished chains belong to one network, one loss and one set of data."""

import json

import keras
import numpy as np
import pytest

from keras_asgld import Chains
from keras_asgld.sampling import identity
from tests.support.monitored import compiled, data, make

x, y = data()
LOSS = keras.losses.SparseCategoricalCrossentropy


def dense(*activations, **others):
    layers = [keras.layers.Dense(4, each, **others) for each in activations]
    return keras.Sequential([keras.Input((4,)), *layers])


def branched(skip, activation="tanh"):
    inputs = keras.Input((4,))
    first = keras.layers.Dense(4)(inputs)
    second = dense(activation)(first)
    return keras.Model(inputs, keras.layers.Add()([first if skip else inputs, second]))


def run(
    folder,
    model=None,
    loss=None,
    x=x,
    y=y,
    together=False,
    loss_weights=None,
    **others,
):
    model = model or dense("tanh", "linear")
    model.compile(make("SGLD"), loss or LOSS(from_logits=True), loss_weights)
    chains = Chains(model, 1, folder, together=together)
    return chains.fit(x, y, epochs=1, batch_size=8, verbose=0, **others)


def assert_refused(folder, name, **others):
    with pytest.raises(
        ValueError, match=f"of these settings.*is finished with {name}="
    ):
        run(folder, **others)


@pytest.mark.parametrize(
    "together",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                keras.backend.backend() != "jax"
                or tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12),
                reason="`vmap` is JAX's, its use asks for Keras 3.12",
            ),
        ),
    ],
)
def test_chains_of_something_else_are_refused(tmp_path, together):
    arguments = {"folder": tmp_path, "together": together}
    run(**arguments)
    expected = run(**arguments)
    assert_refused(model=dense("relu", "linear"), name="model", **arguments)
    assert_refused(loss=LOSS(True, ignore_class=3), name="loss", **arguments)
    assert_refused(x=x + 1e-6, name="x", **arguments)
    assert_refused(y=3 - y, name="y", **arguments)
    assert run(**arguments) == expected


def test_weights_of_examples_are_data_too(tmp_path):
    weights = np.ones(len(x))
    run(tmp_path, sample_weight=weights)
    run(tmp_path, sample_weight=weights.copy())
    for other in (2 * weights, None):
        assert_refused(tmp_path, "sample_weight", sample_weight=other)


@pytest.mark.parametrize(
    "name, value",
    [
        ("loss_weights", 2.0),
        ("class_weight", {0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}),
        ("shuffle", False),
        ("steps_per_epoch", 2),
        ("validation_split", 0.5),
    ],
)
def test_how_the_loss_and_the_data_are_used_tells_chains_apart(tmp_path, name, value):
    run(tmp_path / "usual")
    assert_refused(tmp_path / "usual", name, **{name: value})
    first = run(tmp_path / "other", **{name: value})
    assert run(tmp_path / "other", **{name: value}) == first
    assert_refused(tmp_path / "other", name)


def test_where_a_chain_begins_to_count_tells_it_apart(tmp_path):
    run(tmp_path)
    assert_refused(tmp_path, "initial_epoch", initial_epoch=1)


def test_a_default_that_is_given_is_the_default(tmp_path):
    expected = run(tmp_path)
    for name, usual in identity.OF_FIT.items():
        assert run(tmp_path, **{name: usual}) == expected


def test_an_optimizer_without_what_the_finished_chains_had_is_refused(tmp_path):
    def run(**numbers):
        model = compiled(make("SGLD", temperature=1.0, **numbers))
        Chains(model, 1, tmp_path).fit(x, y, batch_size=8, verbose=0)

    run(examples=24)
    with pytest.raises(ValueError, match="finished with optimizer.examples=24 instead"):
        run()


def test_chains_of_before_networks_and_data_were_recorded_are_taken_up(tmp_path):
    expected = run(tmp_path)
    path = tmp_path / "chain-0" / "chain.json"
    content = json.loads(path.read_text())
    since = ("model", "loss", "loss_weights", "x", "y", "sample_weight")
    for name in (*since, *identity.OF_FIT):
        del content["settings"][name]
    path.write_text(json.dumps(content))
    assert run(tmp_path, dense("relu", "linear"), y=3 - y) == expected


def test_names_and_seeds_of_layers_do_not_tell_networks_apart():
    assert identity.of_model(dense("relu")) == identity.of_model(dense("relu"))
    own = dense("relu", name="own", kernel_initializer=keras.initializers.HeNormal(3))
    other = dense("relu", kernel_initializer="he_normal")
    assert identity.of_model(own) == identity.of_model(other)
    assert identity.of_model(branched(True)) == identity.of_model(branched(True))


def test_what_tells_networks_apart():
    frozen, half = dense("relu", "relu"), dense("relu", "relu", dtype="mixed_bfloat16")
    frozen.layers[0].trainable = False
    models = [
        dense("relu", "relu"),
        dense("relu"),
        dense("relu", "tanh"),
        dense("relu", "relu", kernel_initializer="he_normal"),
        frozen,
        half,
        branched(True),
        branched(False),
        branched(False, "relu"),
    ]
    assert len({identity.of_model(each) for each in models}) == len(models)


def test_layers_without_a_configuration_are_known_by_class_and_weights():
    @keras.saving.register_keras_serializable("tests")
    class Scaled(keras.layers.Layer):
        def __init__(self, function, units):
            super().__init__()
            self.function, self.dense = function, keras.layers.Dense(units)

        def call(self, inputs):
            return self.dense(self.function(inputs))

        def get_config(self):
            raise NotImplementedError

    def model(units):
        layer = Scaled(lambda inputs: 2 * inputs, units)
        return keras.Sequential([keras.Input((4,)), layer])

    assert identity.of_model(model(2)) == identity.of_model(model(2))
    assert identity.of_model(model(2)) != identity.of_model(model(3))


def test_losses():
    def own(labels, outputs):
        return outputs

    class Own(keras.losses.Loss):
        def call(self, labels, outputs):
            return outputs

    losses = [
        "mse",
        LOSS(),
        LOSS(from_logits=True),
        keras.losses.Huber(2.0),
        keras.losses.Huber(3.0),
        own,
        Own(),
        ["mse", LOSS()],
        {"first": "mse"},
        None,
    ]
    found = [json.dumps(identity.of_loss(each)) for each in losses]
    assert len(set(found)) == len(losses)
    assert identity.of_loss(LOSS()) == identity.of_loss(LOSS())


def test_arrays():
    long = np.arange(30_000).reshape(10_000, 3)
    changed = long.copy()
    changed[-1, -1] += 1
    texts = np.array(["one", "two"], dtype=object)
    arrays = [long, changed, long.astype("float32"), long.reshape(3, 10_000), texts]
    arrays += [texts[::-1], np.float32(1), keras.ops.ones((2, 2), "bfloat16"), None]
    found = [identity.of_data(each) for each in arrays]
    assert len(set(found)) == len(arrays)
    assert identity.of_data(long[:, ::-1]) == identity.of_data(long[:, ::-1].copy())
    assert identity.of_data(texts) == identity.of_data(np.array(["one", "two"], object))
    tensor = keras.ops.convert_to_tensor(x)
    assert identity.of_data({"a": [tensor]}) == {"a": [identity.of_data(x)]}


def test_data_that_are_no_arrays_are_known_by_what_they_say():
    class Batches(keras.utils.PyDataset):
        def __init__(self, count):
            super().__init__()
            self.count = count

        def __len__(self):
            return self.count

        def __getitem__(self, index):
            raise AssertionError("read")

    class Endless:
        def __iter__(self):
            raise AssertionError("read")

    assert identity.of_data(Batches(3)) == "Batches of length 3"
    assert identity.of_data(Endless()) == "Endless"


def test_data_sets_of_tensorflow():
    tf = pytest.importorskip("tensorflow")

    def of(*arrays):
        return tf.data.Dataset.from_tensor_slices(arrays)

    found = [of(x, y), of(x), of(x[:9], y[:9]), of(x, y).repeat()]
    assert len({identity.of_data(each) for each in found}) == 4
    assert identity.of_data(of(x, y)) == identity.of_data(of(x, y).map(lambda *e: e))
