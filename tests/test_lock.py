"""One process at a time in a folder."""

import errno
import os
import threading
import time

import pytest

from keras_asgld import lock
from keras_asgld.cli.command import main
from tests.support.faults import largest_file
from tests.support.processes import hold


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path):
    process = hold(tmp_path)
    with (
        pytest.raises(BlockingIOError, match=f"in use by process {process.pid} on "),
        lock.held(tmp_path),
    ):
        pass
    process.communicate("")
    with lock.held(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_killed_process_holds_nothing(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [lock.NAME]
    with lock.held(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / lock.NAME).read_text()


def test_a_file_that_its_holder_has_just_removed_locks_nothing(tmp_path, monkeypatch):
    flock, calls = lock.fcntl.flock, []

    def removed_first(file, how):
        # Between our opening it and our locking it the one before goes out.
        if not calls:
            (tmp_path / lock.NAME).unlink()
        calls.append(how)
        flock(file, how)

    monkeypatch.setattr(lock.fcntl, "flock", removed_first)
    with lock.held(tmp_path):
        assert len(calls) == 2
        with pytest.raises(BlockingIOError), lock.held(tmp_path):
            pass


def test_two_are_never_in_it_at_once(tmp_path):
    inside, turns, faults = [], [], []

    def enter():
        while len(turns) < 100:
            try:
                with lock.held(tmp_path):
                    inside.append(1)
                    time.sleep(0.001)  # long enough for others to come in
                    faults.extend(inside[1:])
                    turns.append(1)
                    inside.pop()
            except BlockingIOError:
                pass

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def none(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with lock.held(tmp_path), lock.held(tmp_path):
        pass


def test_a_full_disk_is_named(tmp_path):
    with (
        pytest.raises(OSError, match=r"File too large: .*lock'"),
        largest_file(0),
        lock.held(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["compare", "--optimizers=adam", "--seeds=1"], "."),
        (["compare", "--optimizers=adam", "--seeds=1"], "runs/adam-seed0"),
        (["tune", "--optimizers=adam"], "."),
        (["train"], "."),
    ],
)
def test_the_command_keeps_out_of_a_folder_in_use(arguments, place, tmp_path, capsys):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    process = hold(folder)
    flags = ("--epochs=1", "--train_size=64", f"--out_dir={tmp_path}")
    assert main([*arguments, *flags]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"keras-asgld: {folder}: in use by process {process.pid} on")
    process.communicate("")
