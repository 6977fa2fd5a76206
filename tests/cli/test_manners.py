"""What the command prints and where it writes: no more than is of use, and readable."""

import csv
import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

from keras_asgld.cli import command as cli
from keras_asgld.cli.command import main
from keras_asgld.reports import ensembles, epoch_table, tables
from keras_asgld.runs import tasks
from keras_asgld.studies import compare, tune

ROOT = pathlib.Path(__file__).parent.parent.parent
SMALL = ("--epochs=1", "--train_size=64")


def test_train_prints_progress_alone(command, tmp_path):
    process = command("train", *SMALL, "--optimizer=sgd")
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert output == "record and weights: asgld-results/digits-sgd-seed0\n"
    for line in errors.splitlines():
        assert re.match(r"\[1/1\] sgd seed 0: (epoch 1/1, train|test accuracy) ", line)


@pytest.fixture
def without(tmp_path):
    """Runs the command, by a module's name, where another module cannot be imported."""

    def run(absent, module, *arguments, **environment):
        (tmp_path / f"{absent}.py").write_text(
            f"raise ModuleNotFoundError('no {absent} here')\n"
        )
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": path} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


MODULES = ["keras_asgld_command", "keras_asgld"]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("backend", ["jax", "nonsense"])
def test_a_backend_that_does_not_start_is_one_line(backend, module, without, tmp_path):
    done = without("jax", module, "train", "--epochs=1", KERAS_BACKEND=backend)
    (line,) = done.stderr.splitlines()
    start = f"keras-asgld: Keras does not start with the backend {backend}: "
    assert done.returncode == 2 and line.startswith(start)
    assert not (tmp_path / "asgld-results").exists()


@pytest.mark.parametrize("module", MODULES)
def test_help_and_complaints_do_not_wait_for_keras(module, without):
    done = without("keras", module, "compare", "--help")
    assert done.returncode == 0 and done.stderr == ""
    done = without("keras", module, "compare", "--epochs=0")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.fixture
def make(make_settings):
    return lambda model=None: make_settings("sgd", model=model)


def test_a_folder_says_once_what_has_one_name(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    assert str(cli._default_folder(make())) == "asgld-results/digits"
    assert str(cli._default_folder(make(), "-tuning")) == "asgld-results/digits-tuning"
    assert str(cli._default_folder(make("cnn"))) == "asgld-results/digits-cnn"


def test_what_was_begun_in_a_folder_of_version_0_1_goes_on_there(
    tmp_path, monkeypatch, make
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asgld-results" / "digits-digits").mkdir(parents=True)
    assert str(cli._default_folder(make())) == "asgld-results/digits-digits"
    assert str(cli._default_folder(make(), "-tuning")) == "asgld-results/digits-tuning"
    (tmp_path / "asgld-results" / "digits").mkdir()
    assert str(cli._default_folder(make())) == "asgld-results/digits"


@pytest.mark.parametrize("is_drawn", [True, False])
def test_a_figure_is_named_only_where_there_is_one(
    tmp_path, monkeypatch, capsys, is_drawn
):
    monkeypatch.chdir(tmp_path)
    if not is_drawn:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["compare", *SMALL, "--optimizers=sgd", "--seeds=1"]) == 0
    place = "asgld-results/digits"
    words = "records, table and figure" if is_drawn else "records, table"
    assert capsys.readouterr().out.endswith(f"{words}: {place}\n")
    assert (tmp_path / place / compare.FIGURE).exists() == is_drawn
    text = (tmp_path / place / epoch_table.NAME).read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [(row["optimizer"], row["seed"], row["epoch"]) for row in rows] == [
        ("sgd", "0", "1")
    ]
    assert 0 <= float(rows[0]["test_accuracy"]) <= 1


def test_every_epoch_has_a_line_and_every_number_a_column():
    def record(seed, **more):
        return {
            "settings": {"optimizer": "asgld, mine", "seed": seed},
            "status": "finished",
            "epochs": [{"epoch": e, "test_loss": 0.5 * e, **more} for e in (1, 2)],
        }

    text = epoch_table.text([record(0), record(1, noise={"noise_norm": 3.0})])
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["test_loss"] for row in rows] == ["0.5", "1.0"] * 2
    assert [row["noise_norm"] for row in rows] == ["", "", "3.0", "3.0"]
    assert {row["optimizer"] for row in rows} == {"asgld, mine"}


@pytest.mark.parametrize("middle", [0.001, 0.003162, 0.01, 0.03162, 1.0])
def test_rates_of_a_grid_are_round_numbers(middle):
    rates = [tune.rate_at(middle, step) for step in range(-5, 6)]
    assert {f"{rate:.3e}".partition("e")[0] for rate in rates} == {"1.000", "3.162"}
    assert all(float(f"{rate:.4g}") == rate for rate in rates)
    for rate, following in zip(rates, rates[1:], strict=False):
        assert following / rate == pytest.approx(10**0.5, rel=2e-4)


def test_a_rate_off_the_grid_is_kept():
    assert tune.rate_at(0.02, 0) == 0.02
    assert tune.rate_at(0.02, 2) == 0.2
    assert tune.rate_at(0.000998, 0) == 0.000998


def wide_ensembles():
    number = {"mean": 0.5, "std": 0.01}
    row = {"optimizer": "momentum", "kind": "last", "runs": 3}
    return ensembles.cells([row | dict.fromkeys(ensembles.CALIBRATION, number)])


def wide_tuning():
    rates = [{"learning_rate": 10.0**-i, "validation_accuracy": 0.5} for i in range(9)]
    row = {"optimizer": "adam", "task": ["digits", "digits"], "tuned": None}
    return tune.table([row | {"rates": rates}], between="\n")


@pytest.mark.parametrize("make_cells", [wide_ensembles, wide_tuning])
def test_wide_tables_fold_into_80_columns(make_cells, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    header, lines = make_cells()
    cli._print_table(header, lines, "a title")
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    for word in re.split(r"[\s±]+", " ".join(lines[0])):
        assert word in output


def test_numbers_stay_whole_where_folded_names_are_enough(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    number = {"mean": 0.9873, "std": 0.0066}
    row = {"optimizer": "asgld", "finished": 3, "failed": 0, "step_seconds": 0.0117}
    names = ("test_accuracy", "test_loss", "train_accuracy")
    cells = tables.cells([row | dict.fromkeys(names, number)], tasks.ACCURACY)
    cli._print_table(*cells, "a title")
    output = capsys.readouterr().out
    assert "98.73 ± 0.66 %" in output and "11.7 ms" in output
    assert max(map(len, output.splitlines())) <= 80


def test_the_table_of_tune_says_what_it_is_the_mean_of():
    chosen = types.SimpleNamespace(
        dataset="digits",
        model="digits",
        epochs=10,
        schedule="steps",
        validation_size=287,
    )
    assert tune._title([chosen]).endswith("examples, mean of the last 3 epochs")
    assert tune._title([chosen]).startswith("digits, 10 epochs: ")
    chosen.epochs = 1
    assert tune._title([chosen]).startswith("digits, 1 epoch: ")
    assert tables.of_last_epochs(1) == "the last epoch"


def test_bins_of_a_reliability_diagram_are_those_of_all_seeds():
    diagrams = [
        {"confidence": [0.51, 0.9], "accuracy": [0.0, 1.0], "count": [10, 100]},
        {"confidence": [0.55, 0.95], "accuracy": [1.0, 0.5], "count": [30, 300]},
    ]
    confidence, accuracy, count = ensembles._merged(diagrams)
    assert count.tolist() == [40, 400]
    assert accuracy.tolist() == pytest.approx([0.75, 0.625])
    assert confidence.tolist() == pytest.approx([0.54, 0.9375])


def test_bins_of_few_examples_are_put_together_with_the_next():
    few = {"confidence": [0.25, 0.95], "accuracy": [0.0, 1.0], "count": [2, 98]}
    confidence, accuracy, count = ensembles._merged([few])
    assert count.tolist() == [100] and accuracy.tolist() == pytest.approx([0.98])
    assert confidence.tolist() == pytest.approx([0.936])
