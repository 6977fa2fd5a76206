"""Tasks: what is trained on, and by which number it is judged."""

import json

import keras
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.runs import records, tasks


@pytest.mark.parametrize(
    "name", [name for name, task in tasks.TASKS.items() if not task.prepared]
)
def test_a_task_says_how_many_examples_there_are(name):
    assert tasks.TASKS[name].examples == data.load(name).train_size


@pytest.mark.parametrize("score", [tasks.ACCURACY, tasks.R2], ids=lambda s: s.metric)
def test_a_score_of_sums_is_that_of_keras(score):
    rng = np.random.default_rng(0)
    if score is tasks.ACCURACY:
        labels = rng.integers(3, size=50).astype("int32")
        outputs = rng.standard_normal((50, 3)).astype("float32")
    else:
        labels = rng.standard_normal((50, 1)).astype("float32")
        outputs = labels + 0.5 * rng.standard_normal((50, 1)).astype("float32")
    metric, total = score.keras_metric(), 0.0
    for rows in (slice(0, 20), slice(20, 50)):
        metric.update_state(labels[rows], outputs[rows])
        tensors = (keras.ops.convert_to_tensor(a[rows]) for a in (labels, outputs))
        sums = keras.ops.convert_to_numpy(score.sums(*tensors)).astype("float64")
        total = total + sums
    assert metric.name == score.metric
    assert score.of_sums(total) == pytest.approx(float(metric.result()), abs=1e-5)
    if score is tasks.R2:
        residual = ((labels - outputs) ** 2).sum()
        exact = 1 - residual / ((labels - labels.mean()) ** 2).sum()
        assert score.of_sums(total) == pytest.approx(exact, abs=1e-5)


def test_r2_of_several_outputs_is_the_share_of_all_their_variance():
    rng = np.random.default_rng(0)
    labels = rng.standard_normal((50, 3)).astype("float32") * [1, 10, 0] + [5, 6, 0]
    outputs = labels + rng.standard_normal((50, 3))
    score, total = tasks.R2, 0.0
    metric = score.keras_metric()
    for rows in (slice(0, 20), slice(20, 50)):
        parts = [array[rows].astype("float32") for array in (labels, outputs)]
        metric.update_state(*parts)
        tensors = [keras.ops.convert_to_tensor(part) for part in parts]
        sums = keras.ops.convert_to_numpy(score.sums(*tensors)).astype("float64")
        total = total + sums
    residual = ((labels - outputs)[:, :2] ** 2).sum()
    variance = ((labels - labels.mean(0)) ** 2).sum()
    assert float(metric.result()) == pytest.approx(1 - residual / variance, abs=1e-4)
    assert score.of_sums(total) == pytest.approx(1 - residual / variance, abs=1e-4)


def test_diabetes_is_standardised_by_its_training_part():
    loaded = data.load("diabetes", validation_size=90)
    whole = data.load("diabetes")
    assert (loaded.train_size, loaded.validation_size, loaded.test_size) == (
        262,
        90,
        90,
    )
    assert loaded.input_shape == (10,) and loaded.outputs == 1
    for values in whole.train_examples:
        np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(values.std(0), 1, atol=1e-5)
    inputs, labels = next(iter(loaded.train()))
    assert tuple(inputs.shape) == (128, 10) and tuple(labels.shape) == (128, 1)
    # No example is in two parts.
    parts = (loaded.train_examples, loaded.validation_examples, loaded.test_examples)
    rows = np.concatenate([part.inputs for part in parts])
    assert len(np.unique(rows, axis=0)) == 442


@pytest.mark.slow
def test_regression_is_compared_tuned_and_plotted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")  # narrower tables fold their columns' names
    flags = ["--dataset=diabetes", "--optimizers=asgld,adam", "--epochs=3"]
    assert main(["compare", *flags, "--seeds=2", "--out_dir=out"]) == 0
    assert main(["tune", *flags, "--seeds=1", "--out_dir=tuning"]) == 0
    assert main(["plot", "out", "--out=again.png"]) == 0
    printed = capsys.readouterr().out
    assert "test R²" in printed and "validation R² by learning rate" in printed
    found = records.find(tmp_path / "out")
    assert len(found) == 4
    for record in found:
        assert record["status"] == "finished"
        last = record["epochs"][-1]
        assert "test_accuracy" not in last
        assert last["test_r2"] <= 1 and last["train_r2"] <= 1
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["rows"][0]["test_r2"]["mean"] <= 1
    trial = json.loads((tmp_path / "tuning/tuning.json").read_text())
    assert "validation_r2" in json.dumps(trial)
    for picture in ("out/curves.png", "tuning/grid.png", "again.png"):
        assert (tmp_path / picture).stat().st_size > 10_000


def test_a_regression_learns(tmp_path):
    command = ["train", "--dataset=diabetes", "--optimizer=adam", "--epochs=15"]
    assert main([*command, f"--out_dir={tmp_path}/run"]) == 0
    record = records.read(tmp_path / "run")
    # A linear regression explains half of the variance; the mean, nothing.
    assert 0.3 < record["epochs"][-1]["test_r2"] < 0.7


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--model=cnn", "`model` must be mlp"),
        ("--model=cnn", "whose inputs are rows of a table; cnn takes pictures."),
        ("--dataset=verses --model=mlp", "`model` must be bag or lstm or transformer"),
        ("--dataset=verses --model=mlp", "whose inputs are texts; mlp takes rows of a"),
        ("--dataset=digits --model=bag", "`model` must be a network for pictures"),
        ("--dataset=digits --model=bag", "inputs are pictures; bag takes texts."),
        ("--dataset=spoken_digit --model=bag", "spectrograms of speech; bag takes tex"),
        ("--dataset=imdb_reviews --model=lstm", "long texts; lstm takes short texts."),
        ("--dataset=verses --model=cnnn", "Did you mean 'cnn'?"),
        ("--image_size=8", "`image_size` must be None for diabetes"),
        ("--ensemble=2", "`ensemble` must be left out with --dataset=diabetes"),
    ],
)
def test_what_a_table_cannot_have_is_refused(flag, words, tmp_path, capsys):
    command = ["compare", "--dataset=diabetes", "--epochs=3", *flag.split()]
    assert main([*command, f"--out_dir={tmp_path}/out"]) == 2
    assert words in capsys.readouterr().err


def test_every_network_of_a_task_takes_what_the_task_has():
    kinds = {"rows", "texts", "spectrograms", "pictures"}
    for task in tasks.TASKS.values():
        (kind,) = [kind for kind in kinds if kind in task.inputs.split()]
        for model in task.models:
            taken = tasks.TAKEN.get(model, "pictures")
            # Networks for pictures take a spectrogram as one.
            assert kind in taken or (kind, taken) == ("spectrograms", "pictures")
    for model in tasks.NOT_FOR_PICTURES:
        assert "pictures" not in tasks.TAKEN[model]
