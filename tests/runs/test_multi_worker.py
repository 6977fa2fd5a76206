"""`train --strategy=multiworker`: real processes on this machine."""

import json
import socket

import h5py
import numpy as np
import pytest

from keras_asgld import models
from keras_asgld.cli import command
from keras_asgld.runs import records
from tests.support import processes, worker

# The last of an epoch's batches has 33 examples, which two workers share unequally.
FLAGS = ("--epochs=4", "--train_size=161", "--optimizer=asgld", "--learning_rate=0.02")


def start(folder, workers, index=0, die_after=0):
    task = {"type": "worker", "index": index}
    config = {"cluster": {"worker": workers}, "task": task}
    environment = {"TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "0"}
    flags = ["--strategy=multiworker", *FLAGS, f"--out_dir={folder}"]
    return processes.start("worker", die_after, *flags, environment=environment)


def addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    places = ["{}:{}".format(*each.getsockname()) for each in sockets]
    for each in sockets:
        each.close()
    return places


def finish(*processes):
    return [(*p.communicate(timeout=240), p.returncode) for p in processes]


def weights(folder):
    found = []
    with h5py.File(folder / "model.weights.h5") as file:
        visit = lambda _, item: hasattr(item, "shape") and found.append(item[()])  # noqa: E731
        file.visititems(visit)
    return found


@pytest.mark.slow
def test_two_workers_of_which_one_was_lost_end_as_one_device(tmp_path, monkeypatch):
    workers = addresses(2)
    [chief, (*_, killed)] = finish(
        start(tmp_path / "two", workers),
        start(tmp_path / "two", workers, index=1, die_after=2),
    )
    assert killed == -9
    output, errors, status = chief
    assert status == 2 and "Traceback" not in errors
    assert "a worker was lost; the same command" in errors.splitlines()[-1]
    assert len(records.read(tmp_path / "two")["epochs"]) == 2

    workers = addresses(2)
    results = finish(*[start(tmp_path / "two", workers, index) for index in (0, 1)])
    for index, (_, errors, status) in enumerate(results):
        assert status == 0, errors
        assert "going on after epoch 2 of 4" in errors
        assert (f"writes to {tmp_path / 'two'}." in errors) == (index == 0)
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == ["model.weights.h5", "record.json"]

    monkeypatch.setattr(models, "build", worker.build)
    assert command.main(["train", *FLAGS, f"--out_dir={tmp_path / 'one'}"]) == 0
    two, one = (records.read(tmp_path / name) for name in ("two", "one"))
    assert two["status"] == "finished"
    for ours, theirs in zip(two["epochs"], one["epochs"], strict=True):
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            np.testing.assert_allclose(ours[name], theirs[name], atol=2e-6)
    states = zip(weights(tmp_path / "two"), weights(tmp_path / "one"), strict=True)
    for ours, theirs in states:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
