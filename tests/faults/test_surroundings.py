"""The command where locale, home, permissions and terminal are not the usual ones."""

import json
import os
import pty
import select
import stat
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

TRAIN = ("train", "--train_size=64", "--epochs=1", "--out_dir=é$ x")
SURROUNDINGS = {
    "C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
    "POSIX, ASCII output": {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
    "no home": {"HOME": None},
    "a home that is no folder": {"HOME": "/dev/null"},
    "dumb terminal of 40 columns": {"TERM": "dumb", "COLUMNS": "40"},
    "no PATH": {"PATH": ""},
}


def start(folder, changes=None, **others):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name, value in (changes or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return subprocess.Popen(
        [sys.executable, "-m", "keras_asgld_command", *TRAIN],
        cwd=folder,
        env=environment,
        **others,
    )


def finished(folder):
    record = json.loads((folder / "é$ x" / "record.json").read_text())
    return record["status"] == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_run_ends_well(name, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(tmp_path, SURROUNDINGS[name], **pipes)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert b"Traceback" not in errors and output.startswith(b"record and weights: ")
    assert finished(tmp_path)


@pytest.mark.slow
def test_a_mask_of_077_keeps_others_out(tmp_path):
    process = start(tmp_path, preexec_fn=lambda: os.umask(0o077))
    assert process.wait(120) == 0 and finished(tmp_path)
    for path in (tmp_path / "é$ x").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


@pytest.mark.slow
def test_closed_streams_are_no_fault(tmp_path):
    shell = f"exec {sys.executable} -m keras_asgld_command {' '.join(TRAIN[:-1])}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        ["sh", "-c", f"{shell} '{TRAIN[-1]}' <&- >&- 2>&-"],
        cwd=tmp_path,
        env=environment,
    )
    assert process.wait(120) == 0 and finished(tmp_path)


@pytest.mark.slow
def test_a_terminal_of_40_columns_is_no_fault(tmp_path):
    ours, its = pty.openpty()
    process = start(
        tmp_path, {"COLUMNS": "40", "LINES": "20"}, stdout=its, stderr=its, stdin=its
    )
    os.close(its)
    shown = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 1)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.wait(120) == 0 and finished(tmp_path)
    assert b"Traceback" not in shown
    assert b"record and weights" in shown
