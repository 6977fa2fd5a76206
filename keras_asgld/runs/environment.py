"""What a record says about where its numbers come from."""

import contextlib
import importlib
import os
import platform
import random
import sys

import numpy as np

from keras_asgld.checks import shortened
from keras_asgld.runs.files import ExperimentError
from keras_asgld.version import __version__


def ask_for_determinism():
    """Make XLA choose deterministic GPU kernels; before TensorFlow is imported."""
    flag = "--xla_gpu_deterministic_ops=true"
    known = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in known:
        os.environ["XLA_FLAGS"] = f"{known} {flag}".strip()


# Lets TensorFlow's automatic clusters, once `building` asks for them, hold elementwise
# operations and reductions alone, on a CPU too. Compiled at once, and not after some
# uncompiled steps, an interrupted run has the numbers of an uninterrupted one.
_CLUSTERS = {
    "tf_xla_ops_to_cluster": "=FUSIBLE",
    "tf_xla_cpu_global_jit": "",
    "tf_xla_enable_lazy_compilation": "=false",
}


def allow_fusion():
    """Let XLA fuse elementwise operations; before TensorFlow computes anything."""
    known = os.environ.get("TF_XLA_FLAGS", "")
    flags = [known, *(f"--{name}{value}" for name, value in _CLUSTERS.items())]
    if not fusion_is_allowed():
        os.environ["TF_XLA_FLAGS"] = " ".join(flags).strip()


def fusion_is_allowed():
    """Whether `allow_fusion` has been called, in this process or one above it."""
    known = os.environ.get("TF_XLA_FLAGS", "")
    return all(f"--{name}{value}" in known for name, value in _CLUSTERS.items())


def require(package):
    """Raise if a package is missing that a plain installation may not have brought."""
    try:
        with quiet_tensorflow():
            importlib.import_module(package)
    except ImportError as error:
        raise ExperimentError(f"{package} is missing; pip install {package}") from error


def start_backend():
    """Import Keras, and with it the backend that the environment names."""
    try:
        with quiet_tensorflow():
            importlib.import_module("keras")
    except (ImportError, ValueError) as error:  # Keras's own, of a name it lacks
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise ExperimentError(
            f"Keras does not start with the backend {shortened(backend)}: "
            f"{shortened(str(error))}; install it, or set KERAS_BACKEND to another"
        ) from error


def set_seed(seed):
    """Let what Python, NumPy and the backend draw depend on the seed."""
    import keras

    if keras.backend.backend() == "jax":
        # What `set_random_seed` does, but that also imports TensorFlow if it can.
        random.seed(seed)
        np.random.seed(seed)
    else:
        keras.utils.set_random_seed(seed)


@contextlib.contextmanager
def quiet_tensorflow():
    """Keeps TensorFlow's start-up messages off the terminal.

    Some are printed before TensorFlow reads `TF_CPP_MIN_LOG_LEVEL`, so standard
    error itself is redirected meanwhile. A user who has set that variable to less
    than 3 wants to see them, and does.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if sys.stderr is None:  # a shell has closed it, and 2 is some other file
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def has_bfloat16(path="/proc/cpuinfo"):
    """Whether the processor itself computes in bfloat16, as Linux says of it."""
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                return bool(flags & {"avx512_bf16", "amx_bf16"})
    return False


def versions():
    """The versions that can change a number."""
    import keras
    import numpy

    # The modules' own words: what they were installed as has many names, such as
    # tensorflow-cpu.
    backend = importlib.import_module(keras.backend.backend())
    return {
        "keras_asgld": __version__,
        "keras": keras.__version__,
        keras.backend.backend(): str(backend.__version__),
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
    }


def machine():
    """The processor, how many of its cores this process may use, the devices."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "devices": devices(),
        "system": platform.platform(),
    }


def devices():
    """What the backend computes on, as Keras names it; the accelerators first."""
    import keras

    if keras.backend.backend() != "torch":
        return keras.distribution.list_devices()
    import torch  # whose devices Keras cannot list

    return [f"gpu:{i}" for i in range(torch.cuda.device_count())] or ["cpu:0"]


def _processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
