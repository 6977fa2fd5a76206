"""Starts programs of these tests in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

# Not the package's: tests may try one that is installed.
ROOT = Path(__file__).parent.parent.parent


def start(module, *arguments, environment=None):
    """Runs `tests.support.MODULE` as a program.

    Args:
        module: Its name in `tests.support`.
        *arguments: Its arguments, made strings.
        environment: A dict, added to this process's environment.

    Returns:
        A `subprocess.Popen`, with what it prints in pipes.
    """
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.support.{module}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# The lock needs no Keras, whose import would take most of a test's time.
HOLD = """
import importlib.util
import sys
spec = importlib.util.find_spec("keras_asgld")
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
from keras_asgld import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder):
    """Another process that holds the lock of a folder until it is told, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def finish(*processes):
    """Waits until all have ended well; returns what the last one printed."""
    for process in processes:
        out, error = process.communicate(timeout=240)
        assert process.returncode == 0, error[-3000:]
    return out
