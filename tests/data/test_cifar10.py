import pathlib
import shutil
import socket
import time

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_asgld import data
from keras_asgld.data import catalogue


def expected_examples(rows):
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return {p.tobytes(): label for p, label in zip(pixels, rows[:, 0], strict=True)}


def identities(examples):
    return {picture.tobytes() for picture in examples.inputs}


def test_pictures_and_labels_survive_the_way_through_tfds(prepared, binaries):
    loaded = data.load("cifar10", data_dir=str(prepared))
    assert (loaded.train_size, loaded.test_size) == (200, 50)
    assert (loaded.input_shape, loaded.num_classes) == ((32, 32, 3), 10)
    for split in ("train", "test"):
        examples = getattr(loaded, f"{split}_examples")
        expected = expected_examples(binaries[1][split])
        assert len(expected) == len(examples.labels)
        for picture, label in zip(*examples, strict=True):
            assert expected[picture.tobytes()] == label


def test_batches_are_normalised_with_the_papers_constants(prepared):
    loaded = data.load("cifar10", data_dir=str(prepared), batch_size=50)
    ((pictures, labels),) = loaded.test()
    pictures, labels = convert_to_numpy(pictures), convert_to_numpy(labels)
    assert (pictures.dtype, labels.dtype) == (np.float32, np.int32)
    mean = np.array([0.4914, 0.4822, 0.4465])
    std = np.array([0.2023, 0.1994, 0.2010])
    expected = (loaded.test_examples.inputs / 255.0 - mean) / std
    np.testing.assert_allclose(pictures, expected, rtol=0, atol=2e-6)


def test_training_pictures_are_crops_of_the_padded_picture_or_its_mirror(prepared):
    loaded = data.load("cifar10", data_dir=str(prepared), batch_size=8)
    mean = np.array([0.4914, 0.4822, 0.4465])
    std = np.array([0.2023, 0.1994, 0.2010])
    padded = np.pad(loaded.train_examples.inputs, [(0, 0), (4, 4), (4, 4), (0, 0)])
    crops = {}
    for top in range(9):
        for left in range(9):
            for crop in padded[:, top : top + 32, left : left + 32]:
                crops[crop.tobytes()] = (top, left, 0)
                crops[crop[:, ::-1].tobytes()] = (top, left, 1)
    pictures, _ = next(iter(loaded.train()))
    pictures = np.round((convert_to_numpy(pictures) * std + mean) * 255).astype(
        np.uint8
    )
    seen = {crops[picture.tobytes()] for picture in pictures}
    assert len(seen) > 4
    assert {mirrored for _, _, mirrored in seen} == {0, 1}


def test_without_augment_training_pictures_are_the_stored_ones(prepared):
    loaded = data.load("cifar10", data_dir=str(prepared), batch_size=200, augment=False)
    pictures, _ = next(iter(loaded.train()))
    expected = convert_to_numpy(
        loaded.preprocessing.normalise(loaded.train_examples.inputs)
    )
    assert {p.tobytes() for p in convert_to_numpy(pictures)} == {
        p.tobytes() for p in expected
    }


def test_alternating_shifts_by_two_pixels_of_reflection(prepared):
    loaded = data.load("cifar10", data_dir=str(prepared), augment="alternating")
    made = loaded.preprocessing
    assert (made.padding, made.mirror, made.alternating, made.reflect) == (
        2,
        True,
        True,
        True,
    )
    half = data.load(
        "cifar10", data_dir=str(prepared), augment="alternating", image_size=16
    )
    assert half.preprocessing.padding == 1
    plain = data.load("cifar10", data_dir=str(prepared)).preprocessing
    assert not plain.alternating and not plain.reflect


def test_validation_and_subset_are_balanced_and_disjoint(prepared):
    loaded = data.load(
        "cifar10", data_dir=str(prepared), train_size=70, validation_size=40, seed=3
    )
    assert (loaded.train_size, loaded.validation_size) == (70, 40)
    assert set(np.bincount(loaded.train_examples.labels)) == {7}
    assert set(np.bincount(loaded.validation_examples.labels)) == {4}
    train, validation, test = (
        identities(getattr(loaded, f"{part}_examples"))
        for part in ("train", "validation", "test")
    )
    assert len(train) == 70 and len(validation) == 40 and len(test) == 50
    assert not train & validation and not (train | validation) & test

    smaller = data.load(
        "cifar10", data_dir=str(prepared), train_size=30, validation_size=40, seed=4
    )
    assert identities(smaller.train_examples) < train
    assert identities(smaller.validation_examples) == validation


@pytest.mark.parametrize("size, padding", [(16, 2), (32, 4), (48, 4)])
def test_image_size_scales_pictures_and_the_padding_of_the_crop(
    prepared, size, padding
):
    loaded = data.load("cifar10", data_dir=str(prepared), image_size=size)
    assert loaded.input_shape == (size, size, 3)
    assert loaded.preprocessing.padding == padding
    for pipeline in (loaded.train(), loaded.test()):
        pictures, _ = next(iter(pipeline))
        assert pictures.shape[1:] == (size, size, 3)


def test_an_unprepared_directory_is_downloaded_into_and_then_used(
    served, tmp_path, monkeypatch
):
    first = data.load("cifar10", data_dir=str(tmp_path))
    monkeypatch.setattr(catalogue, "_require_host", None)  # not called a second time
    again = data.load("cifar10", data_dir=str(tmp_path))
    np.testing.assert_array_equal(
        first.train_examples.inputs, again.train_examples.inputs
    )


def assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_without_network_and_data_it_says_within_seconds_what_to_do(
    tmp_path, monkeypatch
):
    # A proxy that refuses: no network for the real client, wherever the test runs.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(data.DataError) as error:
        data.load("cifar10", data_dir=str(tmp_path))
    assert time.monotonic() - started < 10
    assert_one_line(error, str(tmp_path), "--data_dir", "connect to the network")


def test_a_silent_network_is_given_up_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(data.DataError) as error:
            data.load("cifar10", data_dir=str(tmp_path))
        assert time.monotonic() - started < 5
    assert_one_line(error, "--data_dir")


def test_a_client_that_never_returns_is_given_up_too(tmp_path, monkeypatch):
    import requests

    monkeypatch.setattr(catalogue, "PATIENCE", 0)
    monkeypatch.setattr(requests, "get", lambda *_, **__: time.sleep(8))
    started = time.monotonic()
    with pytest.raises(data.DataError, match="no answer"):
        data.load("cifar10", data_dir=str(tmp_path))
    assert time.monotonic() - started < 6


@pytest.mark.parametrize("name", ["cifar10-train", "dataset_info.json"])
def test_a_damaged_directory_is_reported_in_one_line(prepared, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    (path,) = pathlib.Path(folder).glob(f"cifar10/*/{name}*")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(data.DataError) as error:
        data.load("cifar10", data_dir=str(folder))
    assert_one_line(error, "CIFAR-10 cannot be", str(folder))
