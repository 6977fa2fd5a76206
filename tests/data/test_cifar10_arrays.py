"""CIFAR-10 from a file of arrays or from Keras, without TensorFlow Datasets."""

import collections
import io
import sys

import keras
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.data import cifar10_arrays
from tests.support.faults import damaged


def arrays(train=40, test=20):
    random = np.random.RandomState(0)

    def part(count):
        pictures = random.randint(0, 256, (count, 32, 32, 3)).astype(np.uint8)
        return pictures, (np.arange(count) % 10).astype(np.uint8)[:, None]

    (x_train, y_train), (x_test, y_test) = part(train), part(test)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


@pytest.fixture
def without_tfds(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # its import fails


def assert_holds(loaded, expected):
    for part in ("train", "test"):
        examples = getattr(loaded, f"{part}_examples")
        pictures, labels = expected[f"x_{part}"], expected[f"y_{part}"]
        known = {
            p.tobytes(): int(y) for p, y in zip(pictures, labels[:, 0], strict=True)
        }
        assert len(known) == len(examples.labels)
        assert examples.labels.dtype == np.int32
        for picture, label in zip(*examples, strict=True):
            assert known[picture.tobytes()] == label


def test_a_file_of_arrays_is_read_with_tfds_or_without(without_tfds, tmp_path):
    np.savez(tmp_path / "cifar10.npz", **arrays())
    loaded = data.load("cifar10", data_dir=str(tmp_path), batch_size=20)
    assert_holds(loaded, arrays())
    assert (loaded.input_shape, loaded.preprocessing.padding) == ((32, 32, 3), 4)


def test_without_tfds_and_a_folder_keras_brings_the_pictures(without_tfds, monkeypatch):
    parts = arrays()
    monkeypatch.setattr(
        keras.datasets.cifar10,
        "load_data",
        lambda: (
            (parts["x_train"], parts["y_train"]),
            (parts["x_test"], parts["y_test"]),
        ),
    )
    assert_holds(data.load("cifar10"), parts)


def test_without_tfds_and_network_it_says_what_to_do(
    without_tfds, monkeypatch, tmp_path
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    home = "keras.src.utils.file_utils.config.keras_home"
    monkeypatch.setattr(home, lambda: str(tmp_path))
    with pytest.raises(data.DataError, match=r"network, or .* cifar10.npz"):
        data.load("cifar10")


def test_without_tfds_a_folder_must_hold_the_file(without_tfds, tmp_path):
    with pytest.raises(data.DataError, match="no file cifar10.npz") as error:
        data.load("cifar10", data_dir=str(tmp_path))
    assert str(tmp_path) in str(error.value)
    with pytest.raises(data.DataError, match="no directory .*absent"):
        data.load("cifar10", data_dir=f"{tmp_path}/absent")


@pytest.mark.parametrize(
    "change",
    [
        {"x_train": np.zeros((40, 32, 32, 3), np.float32)},
        {"x_test": np.zeros((20, 3, 32, 32), np.uint8)},
        {"y_train": np.zeros(39, np.uint8)},
        {"y_test": np.full(20, 10, np.uint8)},
        {"y_test": np.full(20, -1)},
        {"y_train": np.zeros(40, np.float32)},
    ],
)
def test_arrays_that_are_not_cifar10_are_refused(change, tmp_path):
    np.savez(tmp_path / "cifar10.npz", **arrays() | change)
    with pytest.raises(data.DataError, match="must hold pictures, uint8"):
        data.load("cifar10", data_dir=str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_file_is_named(content, tmp_path):
    path = tmp_path / "cifar10.npz"
    np.savez(path, x_train=np.zeros(3))  # and no labels
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(data.DataError, match="cannot be read from .*cifar10.npz"):
        data.load("cifar10", data_dir=str(tmp_path))


def test_an_array_under_the_name_of_a_file_of_arrays_is_refused(tmp_path):
    with open(tmp_path / "cifar10.npz", "wb") as file:
        np.save(file, arrays()["x_train"])
    with pytest.raises(data.DataError, match="cannot be read from .*cifar10.npz"):
        data.load("cifar10", data_dir=str(tmp_path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required")
def test_damage_is_told_in_one_line_or_changes_nothing(save, tmp_path):
    file = io.BytesIO()
    save(file, **arrays(4, 3))
    expected = arrays(4, 3)
    path = tmp_path / "cifar10.npz"
    outcomes = collections.Counter()
    for seed in range(250):
        path.write_bytes(damaged(file.getvalue(), seed))
        try:
            found = cifar10_arrays.read_file(path)
        except data.DataError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            outcomes["error"] += 1
        else:
            for part, examples in zip(("train", "test"), found, strict=True):
                np.testing.assert_array_equal(examples.inputs, expected[f"x_{part}"])
                labels = expected[f"y_{part}"][:, 0]
                np.testing.assert_array_equal(examples.labels, labels)
            outcomes["equal"] += 1
    assert outcomes["error"] > 225
