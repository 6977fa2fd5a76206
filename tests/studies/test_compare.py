"""The main job as a user runs it."""

import json
import subprocess
import sys
import types

import matplotlib.image
import numpy as np
import pytest

from keras_asgld.cli.command import main
from keras_asgld.runs import records, training

COMPARE = (
    "compare",
    "--optimizers=asgld,adam",
    "--seeds=2",
    "--epochs=2",
    "--train_size=192",
    "--out_dir=out",
)
RUNS = ["asgld-seed0", "adam-seed0", "asgld-seed1", "adam-seed1"]


def test_compare_end_to_end(command, tmp_path):
    process = command(*COMPARE)
    output, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors and "left)" in errors
    out = tmp_path / "out"
    runs = {name: records.read(out / "runs" / name) for name in RUNS}
    assert all(len(run["epochs"]) == 2 for run in runs.values())
    assert {run["status"] for run in runs.values()} == {"finished"}
    assert {path.name for path in out.iterdir()} == {
        "runs",
        "summary.json",
        "table.md",
        "epochs.csv",
        "curves.png",
    }
    # No checkpoint is left.
    assert {p.name for p in out.glob("runs/*/*")} == {"record.json"}

    starts = [runs[name]["initial_weights_sha256"] for name in RUNS]
    assert starts[0] == starts[1] != starts[2] == starts[3]

    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [row["optimizer"] for row in rows] == ["asgld", "adam"]
    for row in rows:
        for name in ("test_accuracy", "test_loss", "train_accuracy"):
            values = [
                np.mean([epoch[name] for epoch in run["epochs"]])
                for run in runs.values()
                if run["settings"]["optimizer"] == row["optimizer"]
            ]
            np.testing.assert_allclose(row[name]["mean"], np.mean(values))
            np.testing.assert_allclose(row[name]["std"], np.std(values, ddof=1))
        cell = (
            f"{100 * row['test_accuracy']['mean']:.2f} ± "
            f"{100 * row['test_accuracy']['std']:.2f} %"
        )
        assert cell in output and cell in (out / "table.md").read_text()
    assert "mean ± std of the last 2 epochs" in (out / "table.md").read_text()

    picture = matplotlib.image.imread(out / "curves.png")
    assert picture.shape[1] == 1600 and picture[..., :3].std() > 0.05

    versions = runs["adam-seed0"]["versions"]
    assert {"keras_asgld", "keras", "numpy", "python", "backend"} <= set(versions)
    assert runs["adam-seed0"]["machine"]["cores"] >= 1


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return ["compare", "--epochs=1", "--train_size=64", "--out_dir=out", "--seeds=1"]


def test_an_interrupted_comparison_goes_on_with_what_is_missing(
    small, tmp_path, capsys
):
    assert main([*small, "--optimizers=sgd"]) == 0
    written = (tmp_path / "out/runs/sgd-seed0/record.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*small, "--optimizers=sgd,momentum"]) == 0
    output, errors = capsys.readouterr()
    assert "sgd seed 0: test accuracy" in errors and "not repeated" in errors
    assert "momentum" in output
    assert (tmp_path / "out/runs/sgd-seed0/record.json").stat().st_mtime_ns == written

    others = ["--optimizers=adam,sgd", "--batch_size=32", "--weight_decay=0"]
    assert main([*small, *others]) == 2
    errors = capsys.readouterr().err
    assert "weight_decay=0.0005, not 0.0" in errors
    assert "batch_size=64, not 32" in errors
    assert not (tmp_path / "out/runs/adam-seed0").exists()


def test_the_table_holds_all_runs_of_the_task_in_the_folder(small, tmp_path, capsys):
    def optimizers():
        rows = json.loads((tmp_path / "out/summary.json").read_text())["rows"]
        return {row["optimizer"]: row["finished"] + row["failed"] for row in rows}

    assert main([*small, "--optimizers=sgd", "--seeds=2"]) == 0
    assert main([*small, "--optimizers=lion", "--learning_rate=0.0001"]) == 0
    assert optimizers() == {"lion": 1, "sgd": 2}
    assert "sgd" in capsys.readouterr().out

    # A run of the same name with other numbers has no place in lion's row.
    record = tmp_path / "out/runs/lion-seed0/record.json"
    found = json.loads(record.read_text())
    for name, changes in {
        "lion-seed1": {"hyperparameters": {"learning_rate": 0.1}},
        "adam-seed0": {"epochs": 2},
        "adam-seed1": {"weight_decay": 0.1},
        "lion-seed2": {"weight_decay_mode": "coupled"},
    }.items():
        copy = record.parents[1] / name / "record.json"
        copy.parent.mkdir()
        settings = found["settings"] | {"optimizer": name[:4]} | changes
        copy.write_text(json.dumps(found | {"settings": settings}))
    for name, text in {
        "nesterov-seed0": json.dumps(
            found
            | {"status": "running"}
            | {"settings": found["settings"] | {"optimizer": "nesterov"}}
        ),
        "momentum-seed0": "no JSON",
    }.items():
        copy = record.parents[1] / name / "record.json"
        copy.parent.mkdir()
        copy.write_text(text)
    assert main([*small, "--optimizers=lion", "--learning_rate=0.0001"]) == 0
    assert optimizers() == {"lion": 1, "sgd": 2}
    assert "warning: not in the table: " in capsys.readouterr().err
    assert "sgd" in (tmp_path / "out/epochs.csv").read_text()


def test_a_diverged_run_is_reported_and_the_others_are_kept(small, capsys):
    rates = "--learning_rate=sgd=1e30,momentum=0.1"
    assert main([*small, "--optimizers=sgd,momentum", rates]) == 0
    output, errors = capsys.readouterr()
    assert "0, 1 failed" in output and "sgd seed 0: failed" in errors
    assert main(["train", "--optimizer=sgd", "--learning_rate=1e30"]) == 1


def test_without_matplotlib_records_and_table_are_still_written(
    small, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert main([*small, "--optimizers=sgd"]) == 0
    assert "pip install matplotlib" in capsys.readouterr().err
    # Of one seed there is no spread to speak of.
    title = (tmp_path / "out/table.md").read_text().splitlines()[0]
    assert title == "digits, 1 epoch: the last epoch"
    assert not (tmp_path / "out/curves.png").exists()


def test_help_and_errors_do_not_load_keras_and_come_alone(command):
    program = ["-X", "importtime", "-m", "keras_asgld_command", "compare", "--help"]
    result = subprocess.run([sys.executable, *program], capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "keras_asgld.cli.command" in loaded
    assert not loaded & {"keras", "tensorflow", "sklearn", "matplotlib"}
    output, errors = command("compare", "--help").communicate()
    assert "--optimizers" in output and errors == ""
    process = command("compare", "--epochs=no")
    output, errors = process.communicate()
    assert (process.returncode, output) == (2, "")
    assert errors.count("\n") == 1


def test_the_time_of_a_step_holds_no_compilation(small, tmp_path, monkeypatch):
    # One in the first step and, for its smaller batch, one in the epoch's last.
    readings = iter([0.0, 9.0, 9.1, 9.2, 13.0])
    clock = types.SimpleNamespace(perf_counter=lambda: next(readings))
    monkeypatch.setattr(training, "time", clock)
    folder = tmp_path / "run"
    small = ["--train_size=200", "--batch_size=64", "--epochs=1"]
    assert main(["train", *small, f"--out_dir={folder}"]) == 0
    (epoch,) = json.loads((folder / "record.json").read_text())["epochs"]
    assert epoch["step_seconds"] == pytest.approx(0.1)
    assert epoch["seconds"] == 13
