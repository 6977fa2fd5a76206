"""A run that is cut short and started again ends like one that was not."""

import random
import signal
import time

import h5py
import keras
import pytest

from keras_asgld import data, models
from keras_asgld.cli.command import main
from keras_asgld.runs import files, records
from tests.support.interrupting import Interrupting

LONG_RUN = ("train", "--epochs=15", "--train_size=160", "--out_dir=run")


@pytest.fixture
def network_with_dropout(monkeypatch):
    """Batch statistics and a random generator: state that is no weight."""

    def build(name, input_shape, num_classes, seed=None, **_):
        layers = [
            keras.layers.Flatten(),
            keras.layers.Dense(
                16, kernel_initializer=keras.initializers.HeNormal(seed)
            ),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3, seed=seed),
            keras.layers.Dense(
                num_classes, kernel_initializer=keras.initializers.HeNormal(seed)
            ),
        ]
        return keras.Sequential([keras.Input(input_shape), *layers])

    monkeypatch.setattr(models, "build", build)


@pytest.fixture
def train(network_with_dropout, tmp_path):
    from keras_asgld.runs import training

    digits = data.load("digits", batch_size=64, train_size=160)

    def start(settings, name, after=None):
        progress = Interrupting(after)
        folder = tmp_path / name
        try:
            record = training.run(settings, folder, digits, progress, keep_weights=True)
        except KeyboardInterrupt:
            return None, progress.warnings
        return record, progress.warnings

    return start


def weights(folder):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(visit)
    assert found
    return found


@pytest.mark.parametrize(
    "optimizer", ["asgld", pytest.param("adam", marks=pytest.mark.slow)]
)
def test_interrupted_and_resumed_equals_uninterrupted(
    train, make_settings, without_timings, tmp_path, optimizer
):
    settings = make_settings(optimizer)
    whole, _ = train(settings, "whole")
    assert train(settings, "cut", after=1) == (None, [])
    assert train(settings, "cut", after=3) == (None, [])
    assert records.read(tmp_path / "cut")["status"] == "running"
    resumed, warnings = train(settings, "cut")
    assert without_timings(resumed) == without_timings(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert not warnings
    assert [epoch["epoch"] for epoch in whole["epochs"]] == [1, 2, 3, 4]


def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(
    train, make_settings, without_timings, tmp_path
):
    settings = make_settings("momentum")
    whole, _ = train(settings, "whole")
    train(settings, "cut", after=3)
    newest = tmp_path / "cut" / "epoch-000003.checkpoint"
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed, warnings = train(settings, "cut")
    assert len(warnings) == 1 and "epoch-000003.checkpoint" in warnings[0]
    assert without_timings(resumed) == without_timings(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_finished_run_is_not_repeated(train, make_settings, tmp_path):
    settings = make_settings("sgd", epochs=2)
    first, _ = train(settings, "run")
    written = (tmp_path / "run" / "record.json").stat().st_mtime_ns
    again, _ = train(settings, "run")
    assert again == first
    assert (tmp_path / "run" / "record.json").stat().st_mtime_ns == written
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["model.weights.h5", "record.json"]


def test_other_settings_are_refused_and_nothing_is_lost(train, make_settings, tmp_path):
    train(make_settings("sgd", epochs=1), "run")
    before = (tmp_path / "run" / "record.json").read_bytes()
    with pytest.raises(files.ExperimentError, match="holds a run with seed=0, not 1"):
        train(make_settings("sgd", epochs=1, seed=1), "run")
    assert (tmp_path / "run" / "record.json").read_bytes() == before


def test_figures_of_another_backend_are_refused(
    train, make_settings, tmp_path, monkeypatch
):
    train(make_settings("sgd", epochs=1), "run")
    before = (tmp_path / "run" / "record.json").read_bytes()
    here = keras.backend.backend()
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    with pytest.raises(files.ExperimentError, match=f"made on {here}, not another"):
        train(make_settings("sgd", epochs=1), "run")
    assert (tmp_path / "run" / "record.json").read_bytes() == before


def test_a_run_that_diverges_is_recorded_as_failed(train, make_settings):
    settings = make_settings("sgd", overrides={"learning_rate": 1e30})
    record, _ = train(settings, "run")
    assert record["status"] == "failed"
    assert record["epochs"][-1]["test_loss"] is None
    assert len(record["epochs"]) < 4
    assert "not finite in epoch" in record["failure"]


def test_the_optimizers_of_a_seed_start_from_the_same_weights(train, make_settings):
    def start(optimizer, seed):
        settings = make_settings(optimizer, seed=seed, epochs=1)
        record, _ = train(settings, f"{optimizer}{seed}")
        return record["initial_weights_sha256"]

    assert start("asgld", 0) == start("adam", 0) != start("adam", 1)


def wait_for_epochs(folder, count, process):
    while process.poll() is None:
        found = records.read(folder) if (folder / "record.json").exists() else None
        if found and len(found["epochs"]) >= count:
            return
        time.sleep(0.002)
    pytest.fail(f"the run ended first: {process.communicate()[1]}")


def finish(process):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return output, errors


def test_killed_and_started_again_equals_uninterrupted(
    command, without_timings, tmp_path
):
    process = command(*LONG_RUN)
    wait_for_epochs(tmp_path / "run", 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    reached = len(records.read(tmp_path / "run")["epochs"])
    assert 4 <= reached < 15
    _, errors = finish(command(*LONG_RUN))
    assert "going on after epoch" in errors
    # In this process, which has imported everything.
    assert main([*LONG_RUN[:-1], f"--out_dir={tmp_path / 'whole'}"]) == 0
    whole, resumed = (records.read(tmp_path / name) for name in ("whole", "run"))
    assert without_timings(resumed) == without_timings(whole)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(
    command, without_timings, tmp_path
):
    long_run = ("train", "--epochs=150", "--train_size=128", "--out_dir=run")
    finish(command(*long_run[:-1], "--out_dir=whole"))
    moments = random.Random(0)
    for kill in range(20):
        process = command(*long_run)
        if kill % 4 == 0:  # while it starts
            time.sleep(moments.uniform(0.0, 5.0))
        else:  # in or between epochs, or while it writes
            found = records.read(tmp_path / "run")
            epochs = len(found["epochs"]) if found else 0
            wait_for_epochs(tmp_path / "run", epochs + 1, process)
            time.sleep(moments.uniform(0.0, 0.25))
        assert process.poll() is None
        process.kill()
        process.communicate()
    finish(command(*long_run))
    whole, resumed = (records.read(tmp_path / name) for name in ("whole", "run"))
    assert without_timings(resumed) == without_timings(whole)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
