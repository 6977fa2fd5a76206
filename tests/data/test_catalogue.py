"""What the data sets of TFDS have in common: batches by seed, errors that help."""

import itertools
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["*-train.*", "dataset_info.json"])
def test_a_damaged_directory_is_reported_in_one_line(name, file, made_up, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(made_up(name), folder)
    (path,) = folder.glob(f"{name}/**/{file}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(data.DataError) as error:
        data.load(name, data_dir=str(folder))
    message = str(error.value)
    assert "\n" not in message
    for words in ("cannot be", str(folder), "--data_dir"):
        assert words in message


@pytest.mark.parametrize("name", NAMES)
def test_without_tfds_its_packages_are_named(name, made_up, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # its import fails
    with pytest.raises(data.DataError, match="pip install tensorflow tensorflow-data"):
        data.load(name, data_dir=str(made_up(name)))
