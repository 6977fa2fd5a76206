"""The flags of `compare` that watch a run and average its weights."""

import json
import sys

import matplotlib.image
import numpy as np
import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.runs import probabilities, records
from tests.support.interrupting import Interrupting

SMALL = ["compare", "--seeds=1", "--epochs=3", "--train_size=192", "--out_dir=out"]


def test_ensemble_monitor_and_tensorboard(tmp_path, monkeypatch, capsys):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="needs the package tensorboard",
    )
    tensor = pytest.importorskip("tensorboard.util.tensor_util")
    monkeypatch.chdir(tmp_path)
    flags = ["--ensemble=2", "--monitor", "--tensorboard", "--optimizers=asgld,sgd"]
    assert main([*SMALL, *flags]) == 0
    output = capsys.readouterr().out
    out = tmp_path / "out"
    asgld, sgd = (records.read(out / f"runs/{name}-seed0") for name in ("asgld", "sgd"))

    # The last weights' figures are those that Keras measured.
    for record in (asgld, sgd):
        last, epoch = record["calibration"]["last"], record["epochs"][-1]
        np.testing.assert_allclose(last["accuracy"], epoch["test_accuracy"], rtol=1e-6)
        loss = last["negative_log_likelihood"]
        np.testing.assert_allclose(loss, epoch["test_loss"], rtol=1e-3)
        ensemble = record["calibration"]["ensemble"]
        assert ensemble["members"] == 2
        assert ensemble["negative_log_likelihood"] != loss
        assert sum(ensemble["reliability"]["count"]) == 360
        cell = f"{ensemble['negative_log_likelihood']:.4f}"
        assert cell in output and cell in (out / "table.md").read_text()
    rows = json.loads((out / "summary.json").read_text())["ensembles"]
    assert [(row["optimizer"], row["kind"]) for row in rows] == [
        ("asgld", "last"),
        ("asgld", "ensemble"),
        ("sgd", "last"),
        ("sgd", "ensemble"),
    ]
    assert not (out / "runs/asgld-seed0/members").exists()

    # Only the family has noise; it is in the record and under the curves.
    assert all(epoch["noise"]["noise_norm"] > 0 for epoch in asgld["epochs"])
    assert not any("noise" in epoch for epoch in sgd["epochs"])
    curves = matplotlib.image.imread(out / "curves.png")
    assert curves.shape[0] == 2 * round(3.9 * 160)
    orange = np.abs(255 * curves[..., :3] - [0xD5, 0x5E, 0x00]).max(-1) < 8
    assert orange[len(orange) // 2 :].sum() > 200
    assert matplotlib.image.imread(out / "reliability.png")[..., :3].std() > 0.05

    events = reader.EventAccumulator(str(out / "runs/asgld-seed0/tensorboard/train"))
    events.Reload()
    shown = [
        float(tensor.make_ndarray(event.tensor_proto))
        for event in events.Tensors("epoch_noise_norm")
    ]
    written = [epoch["noise"]["noise_norm"] for epoch in asgld["epochs"]]
    np.testing.assert_allclose(shown, written, rtol=1e-6)

    # Redrawn from the records, and done with other flags: refused.
    assert main(["plot", "out", "--out=again.png"]) == 0
    assert (tmp_path / "again.png").exists()
    assert main([*SMALL, "--optimizers=sgd"]) == 2
    assert "ensemble=2, not None" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 4])
def test_an_interrupted_run_ends_with_the_ensemble_of_a_whole_one(
    make_settings, tmp_path, after
):
    from keras_asgld.runs import training

    digits = data.load("digits", batch_size=64, train_size=160)
    settings = make_settings(ensemble=3)
    with pytest.raises(KeyboardInterrupt):
        training.run(settings, tmp_path / "parts", digits, Interrupting(after))
    parts, whole = (
        training.run(settings, tmp_path / name, digits, Interrupting())
        for name in ("parts", "whole")
    )
    assert parts["calibration"] == whole["calibration"]


def test_without_tensorboard_its_package_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main([*SMALL, "--tensorboard"]) == 2
    assert "pip install tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [0, 4])
def test_an_ensemble_needs_as_many_epochs(tmp_path, monkeypatch, capsys, number):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, f"--ensemble={number}"]) == 2
    error = capsys.readouterr().err
    assert "`ensemble` must be at least 1 and at most `epochs`, 3" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_scrambling_moves_pieces_and_keeps_pixels():
    pictures = np.random.default_rng(0).normal(size=(5, 9, 9, 2)).astype("float32")
    strange = probabilities.scrambled(pictures)
    np.testing.assert_array_equal(
        np.sort(strange.reshape(5, -1)), np.sort(pictures.reshape(5, -1))
    )
    np.testing.assert_array_equal(strange[:, 8], pictures[:, 8])
    # A piece stays whole: the first one is one of the sixteen.
    for picture, other in zip(pictures, strange, strict=True):
        pieces = [
            picture[r : r + 2, c : c + 2]
            for r in range(0, 8, 2)
            for c in range(0, 8, 2)
        ]
        assert sum((piece == other[:2, :2]).all() for piece in pieces) == 1
    assert (strange != pictures).mean() > 0.5
