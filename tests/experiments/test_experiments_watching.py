"""The flags of `compare` that watch a run and average its weights."""

import json
import os
import signal
import time

import matplotlib.image
import numpy as np
import pytest

from keras_asgld.experiments import calibrating, records
from keras_asgld.experiments.command import main

SMALL = ["compare", "--seeds=1", "--epochs=3", "--train_size=192", "--out_dir=out"]


def test_ensemble_monitor_and_tensorboard(tmp_path, monkeypatch, capsys):
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

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "runs/asgld-seed0/tensorboard/train"))
    events.Reload()
    shown = [
        float(np.asarray(event.tensor_proto.float_val)[0])
        for event in events.Tensors("epoch_noise_norm")
    ]
    written = [epoch["noise"]["noise_norm"] for epoch in asgld["epochs"]]
    np.testing.assert_allclose(shown, written, rtol=1e-6)

    # Redrawn from the records, and done with other flags: refused.
    assert main(["plot", "out", "--out=again.png"]) == 0
    assert (tmp_path / "again.png").exists()
    assert main([*SMALL, "--optimizers=sgd"]) == 2
    assert "ensemble=2, not None" in capsys.readouterr().err


def test_a_killed_run_ends_with_the_ensemble_of_an_uninterrupted_one(command, tmp_path):
    flags = [
        *["compare", "--optimizers=asgld", "--seeds=1", "--epochs=6"],
        *["--train_size=192", "--ensemble=5"],
    ]
    command(*flags, "--out_dir=whole").communicate(timeout=150)
    process = command(*flags, "--out_dir=parts", start_new_session=True)
    manifest = tmp_path / "parts/runs/asgld-seed0/members/ensemble.json"
    deadline = time.monotonic() + 100
    while not (manifest.exists() and len(json.loads(manifest.read_text())["members"])):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    again = command(*flags, "--out_dir=parts")
    _, errors = again.communicate(timeout=150)
    assert again.returncode == 0, errors
    whole, parts = (
        records.read(tmp_path / folder / "runs/asgld-seed0")["calibration"]
        for folder in ("whole", "parts")
    )
    assert whole == parts


@pytest.mark.parametrize("number", [0, 4])
def test_an_ensemble_needs_as_many_epochs(tmp_path, monkeypatch, capsys, number):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, f"--ensemble={number}"]) == 2
    error = capsys.readouterr().err
    assert "`ensemble` must be at least 1 and at most `epochs`" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_scrambling_moves_pieces_and_keeps_pixels():
    pictures = np.random.default_rng(0).normal(size=(5, 9, 9, 2)).astype("float32")
    strange = calibrating.scrambled(pictures)
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
