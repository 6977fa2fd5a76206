"""The command with JAX alone: TensorFlow and its data sets cannot be imported."""

import json
import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

from keras_asgld.cli.command import main
from tests.support.processes import ROOT

# A finder, not a None in `sys.modules`: it also sees who tries, and would do without.
PROGRAM = """
import json
import sys

class Refusing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            tried.append(name)
            raise ImportError(name)

tried = []
sys.meta_path.insert(0, Refusing())
from keras_asgld.cli.command import main
from keras_asgld.cli.progress import Progress

epoch = Progress.epoch

def interrupted(self, figures):
    epoch(self, figures)
    if figures["epoch"] == 2:
        raise KeyboardInterrupt

statuses = []
for line in sys.argv[1:]:
    arguments = line.split()
    Progress.epoch = epoch if arguments[0] != "cut" else interrupted
    statuses.append(main([word for word in arguments if word != "cut"]))
assert not tried, tried
print(json.dumps(statuses))
"""
TRAIN = "train --epochs=4 --train_size=192 --learning_rate=1"


@pytest.fixture
def jax_alone(tmp_path):
    """Runs command lines in a process; returns statuses and what was printed."""
    pytest.importorskip("jax")
    if keras.backend.backend() == "torch":
        pytest.skip("its programs are JAX's, and run where the tests are JAX's, too")

    def run(*lines):
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *lines],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax"},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        *output, statuses = result.stdout.splitlines()
        return json.loads(statuses), "\n".join(output), result.stderr

    return run


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


def test_interrupted_and_resumed_equals_uninterrupted(
    jax_alone, without_timings, tmp_path
):
    whole, cut = f"{TRAIN} --out_dir=whole", f"{TRAIN} --out_dir=cut"
    statuses, _, _ = jax_alone(whole, f"cut {cut}")
    assert statuses == [0, 130]
    assert len(record(tmp_path / "cut")["epochs"]) == 2
    statuses, _, errors = jax_alone(cut)  # a new process
    assert statuses == [0] and "going on after epoch 2" in errors
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert without_timings(record(cut)) == without_timings(record(whole))
    assert weights(cut) == weights(whole)
    assert record(whole)["versions"]["backend"] == "jax"
    losses = [epoch["train_loss"] for epoch in record(whole)["epochs"]]
    assert losses[-1] < losses[0] / 2


def test_compare_takes_cifar10_from_a_file_and_computes_in_bfloat16(
    jax_alone, tmp_path
):
    random = np.random.RandomState(0)
    arrays = {}
    for part, count in (("train", 80), ("test", 40)):
        arrays[f"x_{part}"] = random.randint(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"y_{part}"] = np.arange(count)[:, None] % 10
    np.savez(tmp_path / "cifar10.npz", **arrays)
    statuses, output, _ = jax_alone(
        "compare --dataset=cifar10 --data_dir=. --model=digits --image_size=8 "
        "--batch_size=40 --optimizers=asgld --seeds=1 --epochs=2 --ensemble=1 "
        "--monitor --mixed_precision=bfloat16 --out_dir=out"
    )
    assert statuses == [0] and "bfloat16" in output
    found = record(tmp_path / "out" / "runs" / "asgld-seed0")
    assert found["status"] == "finished"
    assert found["settings"]["mixed_precision"] == "bfloat16"
    assert found["data"] == {"train_size": 80, "test_size": 40, "steps_per_epoch": 2}
    assert found["epochs"][-1]["noise"]["noise_norm"] > 0
    assert found["calibration"]["ensemble"]["members"] == 1
    assert (tmp_path / "out" / "curves.png").stat().st_size > 10_000


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="has strategies")
def test_a_strategy_needs_tensorflow(capsys, tmp_path):
    assert main(["train", "--strategy=mirrored", f"--out_dir={tmp_path}"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "`strategy` must be one" in errors and "strategy=mirrored" in errors
    assert not list(tmp_path.iterdir())
