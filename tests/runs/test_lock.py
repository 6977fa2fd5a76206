"""One process at a time in a folder."""

import os
import subprocess
import sys
import threading

import pytest

from keras_asgld.runs import lock
from keras_asgld.runs.files import ExperimentError
from tests.support.processes import ROOT

HOLD = """
import sys
from keras_asgld.runs import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder):
    """Another process that holds the lock until it is told, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path):
    process = hold(tmp_path)
    words = f"{tmp_path} is being written to by process {process.pid} on "
    with pytest.raises(ExperimentError, match=words), lock.held(tmp_path):
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


def test_two_are_never_in_it_at_once(tmp_path):
    inside, turns, faults = [], [], []

    def enter():
        while len(turns) < 300:
            try:
                with lock.held(tmp_path):
                    inside.append(1)
                    faults.extend(inside[1:])
                    turns.append(1)
                    inside.pop()
            except ExperimentError:
                pass

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


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
    from keras_asgld.cli.command import main

    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    process = hold(folder)
    flags = ("--epochs=1", "--train_size=64", f"--out_dir={tmp_path}")
    assert main([*arguments, *flags]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"keras-asgld: {folder.resolve()} is being written to by")
    process.communicate("")
