"""A pretrained part is frozen, then let go slowly, and survives interruption."""

import functools
import tarfile

import h5py
import keras
import numpy as np
import pytest

from keras_asgld import data, models
from keras_asgld.cli.command import main
from keras_asgld.models import HubLayer
from keras_asgld.models.pretrained import pretrained_part
from keras_asgld.runs import optimizers as named
from keras_asgld.runs import training
from tests.support.interrupting import Interrupting

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    """A module of pictures with batch norm and a regularization loss."""
    module = tf.__internal__.tracking.AutoTrackable()
    random = np.random.RandomState(0)
    w = tf.Variable(random.normal(size=(3, 3, 1, 4)).astype("float32"), name="conv/w")
    mean = tf.Variable(tf.zeros(4), trainable=False, name="mean")
    module.w, module.mean = w, mean

    @tf.function
    def call(x, training=False):
        x = tf.nn.conv2d(x, w, 1, "SAME")
        if training:
            mean.assign(0.9 * mean + 0.1 * tf.reduce_mean(x, (0, 1, 2)))
        return tf.nn.relu(x - mean)

    for training_mode in (True, False):
        spec = tf.TensorSpec((None, None, None, 1))
        call.get_concrete_function(spec, training=training_mode)
    penalty = tf.function(lambda: 1e-3 * tf.nn.l2_loss(w), input_signature=[])
    module.__call__, module.variables = call, [w, mean]
    module.trainable_variables, module.regularization_losses = [w], [penalty]
    folder = tmp_path_factory.mktemp("hub") / "module"
    tf.saved_model.save(module, str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def chosen(make_settings, handle):
    def choose(optimizer="asgld", **flags):
        changes = flags.pop("changes", {})
        return make_settings(optimizer, model=f"hub/{handle}", flags=flags, **changes)

    return choose


def train(settings, folder, after=None):
    digits = data.load("digits", batch_size=64, train_size=160)
    try:
        return training.run(settings, folder, digits, Interrupting(after), True)
    except KeyboardInterrupt:
        return None


@pytest.fixture(scope="module")
def whole(chosen, tmp_path_factory):
    """Trains an optimizer in two stages of two epochs; returns record and folder."""

    @functools.cache
    def start(optimizer):
        folder = tmp_path_factory.mktemp("runs") / optimizer
        return train(chosen(optimizer, freeze=2), folder), folder

    return start


def weights(folder):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(visit)
    assert found
    return found


def trunk_weights(folder):
    return [w for name, w in weights(folder).items() if "hub_layer" in name]


@pytest.mark.parametrize(
    "optimizer, after",
    [
        ("asgld", (3,)),
        pytest.param("asgld", (1, 3), marks=pytest.mark.slow),
        pytest.param("adam", (2,), marks=pytest.mark.slow),
        pytest.param("momentum", (3,), marks=pytest.mark.slow),
    ],
)
def test_interrupted_in_any_stage_equals_uninterrupted(
    whole, chosen, without_timings, tmp_path, optimizer, after
):
    settings = chosen(optimizer, freeze=2)
    expected, folder = whole(optimizer)
    for epoch in after:
        assert train(settings, tmp_path / "cut", epoch) is None
    resumed = train(settings, tmp_path / "cut")
    assert without_timings(resumed) == without_timings(expected)
    one, other = weights(tmp_path / "cut"), weights(folder)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_pretrained_part_moves_only_once_it_is_let_go(
    whole, chosen, handle, tmp_path
):
    original = sorted(HubLayer(handle).get_weights(), key=np.size)
    train(chosen(freeze=4), tmp_path / "frozen")
    frozen = sorted(trunk_weights(tmp_path / "frozen"), key=np.size)
    _, folder = whole("asgld")
    freed = sorted(trunk_weights(folder), key=np.size)
    for start, still, moved in zip(original, frozen, freed, strict=True):
        np.testing.assert_array_equal(still, start)
        assert not np.array_equal(moved, start)


def test_the_pretrained_part_has_no_noise_unless_asked(chosen):
    from keras_asgld.runs import fine_tuning

    for flags, expected in (({}, False), ({"pretrained_noise": "on"}, True)):
        settings = chosen(**flags)
        model = models.build(settings.model, (8, 8, 1), 10, seed=0)
        optimizer = named.make(settings, 3)
        fine_tuning.quieten(settings, model, optimizer)
        optimizer.build(model.trainable_variables)
        trunk = {v.path for v in pretrained_part(model).trainable_variables}
        assert trunk
        for variable in model.trainable_variables:
            noisy = expected if variable.path in trunk else True
            assert optimizer.is_noisy(variable) is noisy


@pytest.mark.parametrize("precision, freeze", [("bfloat16", 0), ("float16", 1)])
def test_mixed_precision_reaches_the_layers_and_nothing_else(
    chosen, precision, freeze, monkeypatch, tmp_path
):
    made = []
    build = models.build

    def spy(*arguments, **others):
        made.append(build(*arguments, **others))
        return made[-1]

    monkeypatch.setattr(models, "build", spy)
    changes = {"epochs": freeze + 1}
    settings = chosen(mixed_precision=precision, freeze=freeze, changes=changes)
    record = train(settings, tmp_path / "run")
    assert record["status"] == "finished"
    assert pretrained_part(made[0]).compute_dtype == precision
    assert keras.config.dtype_policy().name == "float32"


def test_an_application_starts_from_a_weights_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None
    ).save_weights("trunk.weights.h5")
    name = "applications/MobileNetV2:alpha=0.35"
    model = models.build(name, (32, 32, 3), 10, weights="trunk.weights.h5")
    trunk = pretrained_part(model)
    with h5py.File("trunk.weights.h5") as file:
        first = file["layers/conv2d/vars/0"][()]
    np.testing.assert_array_equal(trunk.get_weights()[0], first)
    statistics = [v.numpy().copy() for v in trunk.non_trainable_variables]
    model(np.random.RandomState(0).normal(size=(2, 32, 32, 3)), training=True)
    for old, new in zip(statistics, trunk.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--freeze=1"], "`freeze` must come with"),
        (["--unfreeze_rate=-1"], "`unfreeze_rate` must come with"),
        (["--unfreeze_clipnorm=1"], "`unfreeze_clipnorm` must come with"),
        (["--unfreeze_factor=0.1"], "Unknown command line flag 'unfreeze_factor'"),
        (["--pretrained_noise=on"], "`pretrained_noise` must come with"),
        (["--weights=absent"], "`weights` must be None for digits"),
        (["--max_unpacked_bytes=9"], "left out without --model=hub/ARCHIVE"),
        (["--model=hub/x", "--max_unpacked_bytes=0"], "must be at least 1"),
        (["--model=hub/absent"], "`model` must be a folder"),
        (
            ["--model=applications/MobileNetV2:beta=1", "--weights=imagenet"],
            "MobileNetV2:alpha=0.35",
        ),
        (["--model=applications/MobileNetV2", "--weights=absent.h5"], "absent.h5"),
    ],
)
def test_wrong_combinations_are_one_line(
    arguments, words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    errors = capsys.readouterr().err.splitlines()
    (line,) = [each for each in errors if each.startswith("keras-asgld: ")]
    assert words in line and "Traceback" not in " ".join(errors)


def test_what_an_archive_may_unpack_to_is_a_flag(handle, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "module.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(handle, arcname=".")
    flags = [f"--model=hub/{path}", "--epochs=1", "--train_size=32", "--batch_size=32"]
    flags.append(f"--out_dir={tmp_path / 'out'}")
    assert main(["train", *flags, "--max_unpacked_bytes=9999"]) == 2
    errors = capsys.readouterr().err
    assert "`model` must be an archive that takes at most" in errors
    assert main(["train", *flags, "--max_unpacked_bytes=1000000"]) == 0
