"""A run that is cut short and started again ends like one that was not."""

import functools
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


def network_with_dropout(name, input_shape, num_classes, seed=None, **_):
    """Batch statistics and a random generator: state that is no weight."""
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(16, kernel_initializer=keras.initializers.HeNormal(seed)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3, seed=seed),
        keras.layers.Dense(
            num_classes, kernel_initializer=keras.initializers.HeNormal(seed)
        ),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


def train(settings, folder, after=None):
    from keras_asgld.runs import training

    digits = data.load("digits", batch_size=64, train_size=160)
    progress = Interrupting(after)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(models, "build", network_with_dropout)
        try:
            record = training.run(settings, folder, digits, progress, keep_weights=True)
        except KeyboardInterrupt:
            return None, progress.warnings
    return record, progress.warnings


@pytest.fixture(scope="module")
def whole(make_settings, tmp_path_factory):
    """Trains an optimizer without interruption; returns the record and the folder."""

    @functools.cache
    def start(optimizer):
        folder = tmp_path_factory.mktemp("whole") / optimizer
        return train(make_settings(optimizer), folder)[0], folder

    return start


@pytest.fixture(scope="module")
def finished(make_settings, tmp_path_factory):
    """A run of two epochs of SGD: its record and its folder."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return train(make_settings("sgd", epochs=2), folder)[0], folder


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
    whole, make_settings, without_timings, tmp_path, optimizer
):
    settings, cut = make_settings(optimizer), tmp_path / "cut"
    expected, folder = whole(optimizer)
    assert train(settings, cut, after=1) == (None, [])
    assert train(settings, cut, after=3) == (None, [])
    assert records.read(cut)["status"] == "running"
    resumed, warnings = train(settings, cut)
    assert without_timings(resumed) == without_timings(expected)
    assert weights(cut) == weights(folder)
    assert not warnings
    assert [epoch["epoch"] for epoch in expected["epochs"]] == [1, 2, 3, 4]


def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(
    whole, make_settings, without_timings, tmp_path
):
    settings, cut = make_settings("asgld"), tmp_path / "cut"
    expected, folder = whole("asgld")
    train(settings, cut, after=3)
    newest = cut / "epoch-000003.checkpoint"
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed, warnings = train(settings, cut)
    assert len(warnings) == 1 and "epoch-000003.checkpoint" in warnings[0]
    assert without_timings(resumed) == without_timings(expected)
    assert weights(cut) == weights(folder)


def test_a_finished_run_is_not_repeated(finished, make_settings):
    first, folder = finished
    written = (folder / "record.json").stat().st_mtime_ns
    again, _ = train(make_settings("sgd", epochs=2), folder)
    assert again == first
    assert (folder / "record.json").stat().st_mtime_ns == written
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["model.weights.h5", "record.json"]


def test_other_settings_are_refused_and_nothing_is_lost(finished, make_settings):
    _, folder = finished
    before = (folder / "record.json").read_bytes()
    with pytest.raises(files.ExperimentError, match="holds a run with seed=0, not 1"):
        train(make_settings("sgd", epochs=2, seed=1), folder)
    assert (folder / "record.json").read_bytes() == before


def test_figures_of_another_backend_are_refused(finished, make_settings, monkeypatch):
    _, folder = finished
    before = (folder / "record.json").read_bytes()
    here = keras.backend.backend()
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    with pytest.raises(files.ExperimentError, match=f"made on {here}, not another"):
        train(make_settings("sgd", epochs=2), folder)
    assert (folder / "record.json").read_bytes() == before


def test_a_run_that_diverges_is_recorded_as_failed(make_settings, tmp_path):
    settings = make_settings("sgd", overrides={"learning_rate": 1e30})
    record, _ = train(settings, tmp_path / "run")
    assert record["status"] == "failed"
    assert record["epochs"][-1]["test_loss"] is None
    assert len(record["epochs"]) < 4
    assert "not finite in epoch" in record["failure"]


def test_the_optimizers_of_a_seed_start_from_the_same_weights(
    whole, finished, make_settings, tmp_path
):
    other, _ = train(make_settings("sgd", epochs=1, seed=1), tmp_path / "other")
    asgld, sgd, other = (
        record["initial_weights_sha256"]
        for record in (whole("asgld")[0], finished[0], other)
    )
    assert asgld == sgd != other


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
