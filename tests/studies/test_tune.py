"""The search for a learning rate: its grid, its trials, what compare makes of it."""

import json
import re

import pytest

from keras_asgld import data
from keras_asgld.cli.command import main
from keras_asgld.runs import records
from keras_asgld.runs.files import ExperimentError
from keras_asgld.studies import found_rates, tune

TUNE = [
    "tune",
    "--epochs=1",
    "--train_size=128",
    "--validation_size=100",
    "--out_dir=out",
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def search(figure, most=tune.MOST):
    """The scores when `figure(step)` is what a rate reaches."""
    scores = {}
    while (steps := tune.missing(scores)) and len(scores) < most:
        scores |= {step: figure(step) for step in steps}
    return scores


@pytest.mark.parametrize("peak", [-4, -2, 0, 1, 2, 3])
def test_the_grid_grows_until_the_best_lies_inside(peak):
    scores = search(lambda step: -abs(step - peak))
    assert tune.best(scores) == peak
    assert min(scores) < peak < max(scores)
    assert len(scores) == 5 + max(0, abs(peak) - 1)


def test_rates_that_diverge_count_as_worst():
    assert tune.best(search(lambda step: None if step > 0 else step)) == 0
    assert tune.best(search(lambda step: None if step > -3 else step)) == -3
    assert tune.best(search(lambda step: None)) is None


def test_of_equals_the_smaller_rate_is_taken_and_the_search_ends():
    assert tune.best({-1: 0.5, 0: 0.9, 1: 0.9, 2: 0.1}) == 0
    assert len(search(lambda step: step)) == tune.MOST


@pytest.mark.slow
def test_tune_then_compare(tmp_path, capsys, monkeypatch):
    def unseen(_):
        raise AssertionError("the test set was read")

    with monkeypatch.context() as patched:
        patched.setattr(data.Data, "test", unseen)
        line = [*TUNE, "--optimizers=momentum"]
        assert main(line) == 0
    output, errors = capsys.readouterr()
    content = json.loads((tmp_path / "out/tuning.json").read_text())
    (momentum,) = content["rows"]
    rates = [trial["learning_rate"] for trial in momentum["rates"]]
    assert {0.01, 0.03162, 0.1, 0.3162, 1.0} <= set(rates)
    chosen = momentum["tuned"]["learning_rate"]
    figures = {t["learning_rate"]: t["validation_accuracy"] for t in momentum["rates"]}
    assert figures[chosen] == max(figures.values())

    place = tmp_path / f"out/trials/momentum-rate{chosen:g}-seed0"
    record = records.read(place)
    assert record["settings"]["validation_size"] == 100
    assert record["data"]["validation_size"] == 100
    assert record["data"]["train_size"] == 128
    assert not any("test" in name for name in record["epochs"][0])
    assert record["epochs"][-1]["validation_accuracy"] == figures[chosen]
    assert (tmp_path / "out/grid.png").stat().st_size > 10_000
    assert (
        f"{chosen:g}: {100 * figures[chosen]:.2f} %*"
        in (tmp_path / "out/table.md").read_text()
    )

    # The same command repeats nothing; plot does not take these for test figures.
    written = (place / "record.json").stat().st_mtime_ns
    assert main(line) == 0
    assert (place / "record.json").stat().st_mtime_ns == written
    assert capsys.readouterr().out == output
    assert main(["plot", str(place)]) == 2
    assert "saw no test set" in capsys.readouterr().err

    small = ["compare", "--epochs=1", "--train_size=64", "--seeds=1", "--tuned=out"]
    assert main([*small, "--optimizers=momentum,adam", "--momentum=adam=0.8"]) == 0
    runs = tmp_path / "asgld-results/digits/runs"
    settings = records.read(runs / "momentum-seed0")["settings"]
    assert settings["hyperparameters"] == {"learning_rate": chosen, "momentum": 0.9}
    settings = records.read(runs / "adam-seed0")["settings"]
    assert settings["hyperparameters"] == {"learning_rate": 0.003162, "momentum": 0.8}
    other = ["compare", "--model=cnn", "--tuned=out", "--out_dir=other"]
    assert main(other) == 2
    assert "was tuned on digits, digits, not on digits, cnn" in capsys.readouterr().err


def test_where_every_rate_diverges_the_search_goes_down_and_ends(
    tmp_path, capsys, monkeypatch
):
    def diverge(settings, *_):
        return {"status": "failed", "settings": settings.to_json(), "epochs": []}

    monkeypatch.setattr(tune.training, "run", diverge)
    assert main([*TUNE, "--optimizers=sgd", "--learning_rate=0.1"]) == 0
    (row,) = json.loads((tmp_path / "out/tuning.json").read_text())["rows"]
    assert row["tuned"] is None and len(row["rates"]) == tune.MOST
    assert row["rates"][-1]["learning_rate"] == 1.0
    assert found_rates.read("out", "digits", "digits") == {"sgd": {}}
    output, errors = capsys.readouterr()
    assert "diverged" in output and "none" in output
    for runs in range(6, tune.MOST + 1):
        line = f"sgd: every rate diverged: 1 more, {runs} runs in all so far\n"
        assert errors.count(line) == 1


def test_the_count_of_runs_says_that_it_may_grow_and_why_it_does(
    tmp_path, capsys, monkeypatch
):
    def train(settings, folder, _, progress):
        record = {
            "status": "finished",
            "settings": settings.to_json(),
            "epochs": [
                {"epoch": 1, "validation_accuracy": settings.hyperparameters[RATE]}
            ],
        }
        progress.begin(settings, None)
        progress.end(record)
        return record

    RATE = "learning_rate"
    monkeypatch.setattr(tune.training, "run", train)
    monkeypatch.setattr(tune, "MOST", 7)
    command = [*TUNE, "--optimizers=sgd,adam", "--learning_rate=sgd=0.1,adam=0.001"]
    assert main(command) == 0
    errors = capsys.readouterr().err
    counts = re.findall(r"^\[(\d+/\d+\+)\] (\w+)", errors, re.MULTILINE)
    first = [(f"{run}/10+", "sgd") for run in range(1, 6)]
    first += [("6/11+", "sgd"), ("7/12+", "sgd")]
    second = [(f"{run}/12+", "adam") for run in range(8, 13)]
    second += [("13/13+", "adam"), ("14/14+", "adam")]
    assert counts == first + second
    line = "adam: the best rate lies at an end of the grid: 1 more, 14 runs in all"
    assert line in errors


def test_every_seed_counts_and_one_failure_fails_a_rate():
    def run(value):
        status = "finished" if value is not None else "failed"
        epochs = [{"validation_accuracy": value}]
        return {"status": status, "settings": {"dataset": "digits"}, "epochs": epochs}

    trials = {0: (0.1, [run(0.5), run(0.7)]), 1: (0.3, [run(0.9), run(None)])}
    scores = tune._scores(trials)
    assert scores[0] == pytest.approx(0.6) and scores[1] is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "rows": []}', '{"format": 1, "rows": [1]}']
)
def test_a_corrupt_result_is_refused_by_name(tmp_path, text):
    (tmp_path / found_rates.NAME).write_text(text)
    with pytest.raises(ExperimentError, match="tuning.json: no "):
        found_rates.read(tmp_path, "digits", "digits")


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgf"},
        {"tuned": {"learning_rat": 0.1}},
        {"tuned": {"learning_rate": 0.1, "momentum": 0.9}},
        {"tuned": {}},
        {"tuned": {"learning_rate": float("nan")}},
    ],
    ids=str,
)
def test_what_no_tuning_could_have_found_is_refused_and_not_passed_over(
    tmp_path, change
):
    row = {"optimizer": "sgd", "task": ["digits", "digits"]}
    row["tuned"] = {"learning_rate": 0.1}
    for rows in ([row | change], [row, row]):
        text = json.dumps({"format": 1, "rows": rows})
        (tmp_path / found_rates.NAME).write_text(text)
        with pytest.raises(ExperimentError, match="tuning.json: no "):
            found_rates.read(tmp_path, "digits", "digits")


def test_tuning_without_validation_data_is_refused(capsys):
    assert main(["tune", "--validation_size=0"]) == 2
    assert "`validation_size` must be at least 1" in capsys.readouterr().err
    assert main(["compare", "--tuned=nowhere"]) == 2
    assert "nowhere/tuning.json: No such file" in capsys.readouterr().err


def test_a_folder_that_tune_did_not_write_is_refused_by_the_name_of_its_flag(
    tmp_path, capsys
):
    (tmp_path / "record.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert main(["compare", f"--tuned={folder}"]) == 2
        words = "`--tuned` must be a folder that `tune` wrote. Received: "
        assert f"{words}--tuned={folder}, " in capsys.readouterr().err


def test_records_older_than_a_setting_count_as_its_default(make_settings):
    record = {"settings": make_settings("sgd").to_json()}
    del record["settings"]["validation_size"]
    records.check_same("there", record, make_settings("sgd"))
    with pytest.raises(ExperimentError, match="validation_size=0, not 5"):
        records.check_same("there", record, make_settings("sgd", validation_size=5))
