"""`--dataset=cifar10-transfer`: a network that has learned other classes before."""

import keras
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.runs import records, transfer

FLAGS = ("--dataset=cifar10-transfer", "--image_size=8", "--train_size=100")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A `cifar10.npz` that holds the handwritten digits."""
    place = tmp_path_factory.mktemp("digits")
    digits, arrays = data.load("digits"), {}
    for part in ("train", "test"):
        examples = getattr(digits, f"{part}_examples")
        pictures = (15 * examples.inputs.astype("uint8")).repeat(4, 1).repeat(4, 2)
        arrays[f"x_{part}"] = pictures.repeat(3, 3)
        arrays[f"y_{part}"] = examples.labels[:, None]
    np.savez(place / "cifar10.npz", **arrays)
    return place


@pytest.fixture(scope="module")
def loaded(folder):
    return data.load(
        "cifar10-transfer",
        data_dir=str(folder),
        image_size=8,
        train_size=100,
        validation_size=50,
        augment=False,
    )


def test_the_halves_are_of_different_classes(folder, loaded):
    whole = data.load("cifar10", data_dir=str(folder), image_size=8, augment=False)
    label = {
        picture.tobytes(): label
        for part in (whole.train_examples, whole.test_examples)
        for picture, label in zip(*part, strict=True)
    }
    assert (loaded.num_classes, loaded.train_size, loaded.validation_size) == (
        5,
        100,
        50,
    )
    for half, first in ((loaded.before, 0), (loaded, 5)):
        assert half.num_classes == half.outputs == 5
        for name in ("train_examples", "validation_examples", "test_examples"):
            for picture, number in zip(*getattr(half, name), strict=True):
                assert label[picture.tobytes()] == number + first
    assert loaded.test_size + loaded.before.test_size == whole.test_size
    assert loaded.before.before is None and whole.before is None


def test_a_network_has_learned_the_classes_before(loaded):
    build = transfer.network("cnn-narrow", loaded, jit_compile=False)
    one, other = build(seed=1), build(seed=2)
    *body, kernel, _ = zip(one.get_weights(), other.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in body)
    assert not np.array_equal(*kernel)
    # A last layer on these features tells the old classes apart; one on features that
    # were never trained does not.
    known = transfer._trained[loaded.before]["cnn-narrow"]
    one.set_weights(known)
    metric = keras.metrics.SparseCategoricalAccuracy()
    for pictures, labels in loaded.before.test():
        metric.update_state(labels, one(pictures, training=False))
    assert float(metric.result()) > 0.9


@pytest.mark.slow
def test_runs_of_all_seeds_start_from_it_and_go_on_in_a_new_process(
    folder, tmp_path, monkeypatch, without_timings
):
    place = f"--data_dir={folder}"
    monkeypatch.setattr(transfer, "EPOCHS", 2)
    flags = (*FLAGS, place, "--epochs=1")
    compare = ("compare", *flags, "--optimizers=adam")
    assert main([*compare, "--seeds=2", f"--out_dir={tmp_path / 'both'}"]) == 0
    # As in a new process: nothing is known of the training before.
    monkeypatch.setattr(transfer, "_trained", type(transfer._trained)())
    assert main([*compare, "--seeds=1,", f"--out_dir={tmp_path / 'one'}"]) == 0
    both, one = (
        records.read(tmp_path / name / "runs" / "adam-seed1")
        for name in ("both", "one")
    )
    assert without_timings(both) == without_timings(one)


def test_a_network_with_weights_of_its_own_is_refused(capsys):
    assert main(["train", *FLAGS, "--model=applications/MobileNetV2"]) == 2
    assert "network without weights of its own" in capsys.readouterr().err
