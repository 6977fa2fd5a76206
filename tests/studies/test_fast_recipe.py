"""The recipe of CIFAR-10 in minutes as a user runs it, on few and small pictures."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from keras_asgld import data, models
from keras_asgld.cli.command import main
from keras_asgld.models.whitening import EPSILON, second_moments
from keras_asgld.runs import environment, records, settings, training, whitening
from keras_asgld.studies import recipes
from tests.support.interrupting import Interrupting


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data directory of 300 + 40 pictures, each class of another colour."""
    place = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    colours = rng.uniform(110, 140, (10, 3))

    def part(count):
        labels = np.arange(count) % 10
        pixels = colours[labels][:, None, None] + rng.normal(0, 60, (count, 32, 32, 3))
        return pixels.clip(0, 255).astype(np.uint8), labels

    (x_train, y_train), (x_test, y_test) = part(300), part(40)
    np.savez(
        place / "cifar10.npz",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )
    return place


SMALL = {"epochs": 4, "batch_size": 64, "image_size": 8, "train_size": 300}


@pytest.fixture
def small(folder, tmp_path, monkeypatch):
    """The recipe's command line; the recipe is shortened, not the pictures' way."""
    monkeypatch.chdir(tmp_path)
    recipe = recipes.RECIPES["cifar10-fast"]
    flags = recipe.flags | SMALL | {"optimizers": ["asgld", "nesterov"]}
    curves = {"curves.png": ("asgld", "nesterov")}
    short = dataclasses.replace(recipe, flags=flags, curves=curves)
    monkeypatch.setitem(recipes.RECIPES, "cifar10-fast", short)
    return [
        "compare",
        "--recipe=cifar10-fast",
        "--seeds=1",
        f"--data_dir={folder}",
        "--out_dir=out",
    ]


@pytest.mark.slow
def test_from_the_command_line_to_the_table(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda: True)
    assert main(small) == 0
    output, errors = capsys.readouterr()
    assert "left)" in errors and "views" in output
    runs = [
        records.read(tmp_path / "out/runs" / f"{name}-seed0")
        for name in ("asgld", "nesterov")
    ]
    for record in runs:
        chosen = record["settings"]
        assert chosen["mixed_precision"] == record["compute_dtype"] == "bfloat16"
        # The plain accuracy is that of the last epoch, in the record and in the table.
        last = record["epochs"][-1]["test_accuracy"]
        assert record["views"]["1"] == pytest.approx(last, abs=1.5 / 40)
        rates = [epoch["learning_rate"] for epoch in record["epochs"]]
        assert rates[0] == pytest.approx(0.2 * 1.5) and max(rates) == rates[1]
    rows = json.loads((tmp_path / "out/summary.json").read_text())["rows"]
    for row, record in zip(rows, runs, strict=True):
        assert row["test_accuracy"]["mean"] == record["epochs"][-1]["test_accuracy"]
        assert row["views"]["6"]["mean"] == record["views"]["6"]
    table = (tmp_path / "out/table.md").read_text()
    assert ": the last epoch" in table and "| by 2 views | by 6 views |" in table

    # Where the processor has no bfloat16 the same command would give other numbers.
    monkeypatch.setattr(environment, "has_bfloat16", lambda: False)
    assert main(small) == 2
    assert "mixed_precision=bfloat16, not None" in capsys.readouterr().err


@pytest.fixture
def pictures(folder):
    return data.load(
        "cifar10",
        data_dir=folder,
        batch_size=64,
        image_size=8,
        train_size=300,
        augment="alternating",
    )


def stored(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


@pytest.mark.slow
def test_interrupted_and_resumed_equals_uninterrupted(
    pictures, tmp_path, without_timings
):
    chosen = settings.make(
        "cifar10",
        "asgld",
        model="airbench-narrow",
        seed=3,
        schedule="triangle",
        augment="alternating",
        label_smoothing=0.2,
        weight_decay=0.00133,
        drop_factor=0.1,
        jit_compile="auto",
        **SMALL,
    )

    def train(name, after=None):
        place = tmp_path / name
        progress = Interrupting(after)
        return training.run(chosen, place, pictures, progress, keep_weights=True)

    whole = train("whole")
    for epoch in (1, 4):  # the second before the views are measured
        with pytest.raises(KeyboardInterrupt):
            train("cut", after=epoch)
    assert "views" not in records.read(tmp_path / "cut")
    resumed = train("cut")
    assert without_timings(resumed) == without_timings(whole)
    assert set(whole["views"]) == {"1", "2", "6"}
    one, other = (
        stored(tmp_path / name / training.WEIGHTS) for name in ("whole", "cut")
    )
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    (kernel,) = (v for v in one.values() if v.shape == (2, 2, 3, 24))
    expected = models.Whitening()
    expected.adapt(pictures.plain(300))
    np.testing.assert_array_equal(kernel, expected.get_weights()[0])


def test_the_whitening_is_that_of_the_training_pictures(pictures):
    def kernel(seed):
        network = models.build("airbench-narrow", (8, 8, 3), 10, seed=seed)
        whitening.adapt(network, pictures)
        (layer,) = (
            each for each in network.layers if isinstance(each, models.Whitening)
        )
        return layer, layer.get_weights()[0]

    layer, first = kernel(0)
    np.testing.assert_array_equal(first, kernel(1)[1])
    outputs = np.asarray(layer(pictures.plain(300)))[..., :12].reshape(-1, 12)
    moments = outputs.T @ outputs / len(outputs)
    variances = np.linalg.eigvalsh(second_moments(pictures.plain(300), 2))[::-1]
    expected = np.diag(variances / (variances + EPSILON))
    np.testing.assert_allclose(moments, expected, atol=1e-4)
    assert expected.diagonal().min() > 0.9
