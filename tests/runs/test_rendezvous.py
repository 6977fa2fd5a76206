"""Workers that wait for one another, and for how long."""

import json
import selectors
import signal
import socket
import threading
import time

import pytest

from keras_asgld.runs import rendezvous
from keras_asgld.runs.files import ExperimentError


@pytest.fixture
def workers():
    """Three of them, on free ports of this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    places = ["{}:{}".format(*each.getsockname()) for each in sockets]
    for each in sockets:
        each.close()
    return {("worker", i): place for i, place in enumerate(places)}


def start(workers, index, seconds=20):
    """A worker that meets the others; what it ends with is put into the list."""
    outcome = []

    def meet():
        try:
            rendezvous.meet(workers, ("worker", index), seconds)
            outcome.append(None)
        except ExperimentError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=meet)
    thread.start()
    return thread, outcome


def end(*started):
    for thread, _ in started:
        thread.join(60)
    return [outcome for _, (outcome,) in started]


def call(workers, words):
    """Holds a line to the first worker, once it listens, and says something."""
    host, port = workers["worker", 0].split(":")
    for _ in range(200):
        try:
            line = socket.create_connection((host, int(port)))
        except OSError:
            time.sleep(0.05)
        else:
            line.sendall(words)
            return line
    raise AssertionError("nobody listens")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_go_on_once_all_are_there(workers, order):
    started = []
    for index in order:
        started.append(start(workers, index))
        time.sleep(0.3)
        alive = [thread.is_alive() for thread, _ in started]
        assert all(alive) or len(started) == 3
    assert end(*started) == [None] * 3


def test_all_who_are_there_say_who_is_missing(workers):
    started = start(workers, 0, seconds=2), start(workers, 1, seconds=2)
    words = f"missing worker 2 ({workers['worker', 2]}); start"
    for outcome in end(*started):
        assert "not all 3 workers are there after 2 seconds" in outcome
        assert words in outcome


def test_a_first_worker_that_is_missing_is_named(workers):
    (outcome,) = end(start(workers, 2, seconds=1))
    assert f"missing worker 0 ({workers['worker', 0]}); start" in outcome


def test_whoever_hangs_up_or_is_no_worker_is_not_there(workers):
    first = start(workers, 0, seconds=3)
    lines = [call(workers, b"GET / HTTP/1.1\r\n"), call(workers, b'["worker", 7]')]
    call(workers, b'["worker", 2]').close()
    (outcome,) = end(first)
    for line in lines:
        line.close()
    assert "missing worker 1 (" in outcome and "), worker 2 (" in outcome


def test_a_worker_that_was_started_anew_is_there(workers):
    first = start(workers, 0)
    call(workers, b'["worker", 2]').close()
    assert end(first, start(workers, 2), start(workers, 1)) == [None] * 3


def test_an_address_that_is_taken_is_one_line(workers):
    host, port = workers["worker", 0].split(":")
    with socket.create_server((host, int(port))):
        (outcome,) = end(start(workers, 0))
    assert outcome.startswith(f"the workers cannot meet at {host}:{port}: Address")


def environment(monkeypatch, workers, index):
    config = {
        "cluster": {"worker": list(workers.values())},
        "task": {"type": "worker", "index": index},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


TRAIN = ("train", "--strategy=multiworker", "--out_dir=out")


def test_the_command_waits_no_longer_than_it_is_told(
    command, workers, monkeypatch, tmp_path
):
    environment(monkeypatch, workers, 1)
    process = command(*TRAIN, "--worker_timeout=1")
    output, errors = process.communicate(timeout=60)
    first, line = errors.splitlines()
    assert first == "worker 1 waits until all 3 are there" and output == ""
    assert f"missing worker 0 ({workers['worker', 0]}); start" in line
    assert process.returncode == 2 and not list(tmp_path.iterdir())


def test_the_first_worker_looks_up_every_second(workers, monkeypatch):
    """Else a Ctrl-C of the moment before the wait would be heard at its end."""
    waits = []

    class Noted(selectors.DefaultSelector):
        def select(self, timeout=None):
            waits.append(timeout)
            return super().select(timeout)

    monkeypatch.setattr(rendezvous.selectors, "DefaultSelector", Noted)
    end(start(workers, 0, seconds=2))
    assert waits and max(waits) <= 1


def test_ctrl_c_ends_the_waiting(command, workers, monkeypatch):
    environment(monkeypatch, workers, 0)
    process = command(*TRAIN)
    assert process.stderr.readline() == "worker 0 waits until all 3 are there\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.count("\n") == 1
    assert time.monotonic() - begin < 10
