"""Small settings and a run that can be cut short, shared by the tests."""

import gc
import importlib.util
import os
import signal
import subprocess
import sys

import keras
import pytest

from keras_asgld.runs import settings
from tests.support.processes import ROOT

# Programs that a shell runs in the background, and theirs, do not hear Ctrl-C, which
# tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Searching all that the imports have made, again and again, takes a tenth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def operations_as_before():
    """A run asks TensorFlow for determinism for good; other tests want XLA."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture(scope="session")
def make_settings():
    def make(optimizer="asgld", **changes):
        defaults = {
            "seed": 0,
            "epochs": 4,
            "batch_size": 64,
            "image_size": None,
            "train_size": 160,
            "weight_decay": 5e-4,
            "drop_factor": 0.1,
            "jit_compile": "auto",
        }
        dataset = changes.pop("dataset", "digits")
        return settings.make(dataset, optimizer, **{**defaults, **changes})

    return make


@pytest.fixture
def script(monkeypatch):
    """Loads a script of `benchmarks/` by its name, as Python would run it there."""
    folder = ROOT / "benchmarks"

    def load(name):
        monkeypatch.syspath_prepend(str(folder))
        # One that wants another backend must not choose it for later tests' programs.
        monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def command(tmp_path):
    """Starts the command as a user does, in an empty folder."""

    def start(*arguments, **others):
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        return subprocess.Popen(
            [sys.executable, "-m", "keras_asgld_command", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **others,
        )

    return start


@pytest.fixture(scope="session")
def without_timings():
    """What must not depend on when, and in how many goes, a run was done."""

    def strip(record):
        timings = ("seconds", "step_seconds")
        epochs = [
            {name: value for name, value in epoch.items() if name not in timings}
            for epoch in record["epochs"]
        ]
        return {**record, "epochs": epochs}

    return strip
