"""The command with JAX alone: TensorFlow and its data sets cannot be imported."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("jax")

# A finder, not a None in `sys.modules`: it also sees who tries, and would do without.
COMMAND = """
import sys

class Refusing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            tried.append(name)
            raise ImportError(name)

tried = []
sys.meta_path.insert(0, Refusing())
from keras_asgld.experiments.command import main

status = main(sys.argv[1:])
assert not tried, tried
sys.exit(status)
"""


@pytest.fixture
def jax_alone(tmp_path):
    def start(*arguments):
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process, status=0):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    return output, errors


def record(folder):
    return json.loads((folder / "record.json").read_text())


def weights(folder):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(visit)
    assert found
    return found


def test_killed_and_resumed_equals_uninterrupted(jax_alone, without_timings, tmp_path):
    run = ("train", "--epochs=12", "--train_size=160")
    process = jax_alone(*run, "--out_dir=cut")
    path = tmp_path / "cut" / "record.json"
    while not path.exists() or len(record(tmp_path / "cut")["epochs"]) < 3:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 3 <= len(record(tmp_path / "cut")["epochs"]) < 12

    _, errors = finish(jax_alone(*run, "--out_dir=cut"))
    assert "going on after epoch" in errors
    finish(jax_alone(*run, "--out_dir=whole"))
    whole, cut = record(tmp_path / "whole"), record(tmp_path / "cut")
    assert without_timings(cut) == without_timings(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert whole["versions"]["backend"] == "jax"
    assert whole["epochs"][-1]["test_accuracy"] > 0.5


def test_compare_learns_cifar10_from_a_file_in_bfloat16(jax_alone, tmp_path):
    random = np.random.RandomState(0)
    labels = np.arange(160, dtype=np.uint8) % 10
    # A class is a shade, which no crop or mirror hides.
    pictures = 25 * labels[:, None, None, None] + random.randint(
        0, 10, (160, 32, 32, 3)
    )
    pictures = pictures.astype(np.uint8)
    np.savez(
        tmp_path / "cifar10.npz",
        x_train=pictures[:120],
        y_train=labels[:120],
        x_test=pictures[120:],
        y_test=labels[120:],
    )
    output, _ = finish(
        jax_alone(
            "compare",
            "--dataset=cifar10",
            "--data_dir=.",
            "--model=cnn-narrow",
            "--image_size=8",
            "--batch_size=40",
            "--train_size=120",
            "--optimizers=asgld,adam",
            "--seeds=1",
            "--epochs=8",
            "--ensemble=2",
            "--monitor",
            "--mixed_precision=bfloat16",
            "--out_dir=out",
        )
    )
    assert "bfloat16" in output
    for optimizer in ("asgld", "adam"):
        found = record(tmp_path / "out" / "runs" / f"{optimizer}-seed0")
        assert found["status"] == "finished"
        assert found["settings"]["mixed_precision"] == "bfloat16"
        assert found["epochs"][-1]["train_accuracy"] > 0.4
        assert found["calibration"]["ensemble"]["members"] == 2
    assert (tmp_path / "out" / "curves.png").stat().st_size > 10_000


def test_what_needs_tensorflow_is_refused_in_one_line(jax_alone):
    _, errors = finish(jax_alone("train", "--strategy=mirrored"), status=2)
    assert errors.count("\n") == 1
    assert "`strategy` must be one" in errors and "strategy=mirrored" in errors
