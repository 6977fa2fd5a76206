"""What the data sets of TFDS have in common: batches by seed, errors that help."""

import itertools
import pathlib
import shutil
import sys
import time

import keras
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from tests.support.prepared import WRITERS

NAMES = tuple(WRITERS)


def first_epoch(loaded):
    batches = itertools.islice(loaded.train(), loaded.steps_per_epoch)
    return [tuple(map(keras.ops.convert_to_numpy, batch)) for batch in batches]


def assert_equal(one, other):
    for x, y in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_order_and_nothing_else(name, made_up):
    def load(seed):
        return data.load(
            name,
            data_dir=str(made_up(name)),
            batch_size=32,
            seed=seed,
            train_size=70,
            validation_size=20,
        )

    one, again, other = load(1), load(1), load(2)
    for batch, same in zip(first_epoch(one), first_epoch(again), strict=True):
        assert_equal(batch, same)
    for part in ("train", "validation", "test"):
        examples = [getattr(each, f"{part}_examples") for each in (one, other)]
        assert_equal(*examples)
    inputs = [
        np.concatenate([x for x, _ in first_epoch(each)]) for each in (one, other)
    ]
    assert not np.array_equal(*inputs)
    rows = [sorted(row.tobytes() for row in each) for each in inputs]
    assert rows[0] == rows[1] and len(rows[0]) == 70


@pytest.mark.parametrize("name", NAMES)
def test_what_is_held_out_is_not_trained_on(name, made_up):
    def rows(examples):
        return sorted(row.tobytes() for row in examples.inputs)

    whole = data.load(name, data_dir=str(made_up(name)))
    parted = data.load(name, data_dir=str(made_up(name)), validation_size=40)
    held_out = rows(parted.validation_examples)
    assert len(held_out) == 40
    assert sorted(rows(parted.train_examples) + held_out) == rows(whole.train_examples)
    assert len(set(np.bincount(parted.validation_examples.labels))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_without_network_and_data_the_command_says_what_to_do(
    name, tmp_path, monkeypatch, capsys
):
    # A proxy that refuses: no network for the real client, wherever the test runs.
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    started = time.monotonic()
    folder = tmp_path / "absent"
    command = ["train", f"--dataset={name}", f"--data_dir={folder}"]
    assert main([*command, f"--out_dir={tmp_path}/out"]) == 2
    assert time.monotonic() - started < 10
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    for words in (f"prepared {name} (--data_dir)", str(folder), "connect to the netw"):
        assert words in errors


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def exchange(path):
    """Sound records, but of examples that have no features."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(300):
            writer.write(tf.train.Example().SerializeToString())


def make_a_folder(path):
    path.unlink()
    path.mkdir()


TRAIN, INFO = "*-train.*", "dataset_info.json"
DAMAGES = [
    (TRAIN, cut_off, "a file is damaged or cut off; remove that folder"),
    (TRAIN, spoil, "a file is damaged or cut off; remove that folder"),
    (TRAIN, empty, "a file is damaged, it holds 0 of "),
    (TRAIN, exchange, "a file holds no examples of this data set; remove"),
    (TRAIN, pathlib.Path.unlink, "-of-00001: No such file or directory"),
    (TRAIN, make_a_folder, "-of-00001: Is a directory"),
    (INFO, cut_off, "dataset_info.json in the folder of the data set is damaged"),
    (INFO, empty, "dataset_info.json in the folder of the data set is damaged"),
    (INFO, make_a_folder, "dataset_info.json: Is a directory"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("file", "harm", "words"), DAMAGES)
def test_a_damaged_directory_is_reported_in_one_line_of_our_words(
    name, file, harm, words, made_up, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(made_up(name), folder)
    (path,) = folder.glob(f"{name}/**/{file}")
    harm(path)
    with pytest.raises(data.DataError) as error:
        data.load(name, data_dir=str(folder))
    message = str(error.value)
    assert "\n" not in message
    for each in ("cannot be", str(folder), "--data_dir", words):
        assert each in message
    for internal in ("{{", "[[", "[Op:", "node", "device:", "Iterator", "builder_kw"):
        assert internal not in message


NAMES_AND_CIFAR10 = (*NAMES, "cifar10")


@pytest.mark.parametrize("name", NAMES_AND_CIFAR10)
def test_a_file_in_the_place_of_the_directory_is_named_as_one(name, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(data.DataError) as error:
        data.load(name, data_dir=str(tmp_path / "file"))
    words = "`data_dir` must be a directory, and this is a file. Received: data_dir="
    assert str(error.value) == f"{words}'{tmp_path}/file'"
    for place in (str(tmp_path / "file" / "below"), ""):
        with pytest.raises(data.DataError) as error:
            data.load(name, data_dir=place)
        words = "`data_dir` must be the path of a directory. Received: data_dir="
        assert str(error.value) == f"{words}{place!r}"


@pytest.mark.parametrize("name", NAMES_AND_CIFAR10)
def test_a_directory_that_is_missing_is_named_as_such(name, tmp_path, monkeypatch):
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    words = f"there is no directory {tmp_path}/absent"
    with pytest.raises(data.DataError, match=words):
        data.load(name, data_dir=f"{tmp_path}/absent")
    with pytest.raises(data.DataError) as error:
        data.load(name, data_dir=str(tmp_path))
    assert "there is no directory" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_without_tfds_its_packages_are_named(name, made_up, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # its import fails
    with pytest.raises(data.DataError, match="pip install tensorflow tensorflow-data"):
        data.load(name, data_dir=str(made_up(name)))
