"""`tf.distribute` strategies by name."""

import contextlib
import functools
import json
import os

from keras_asgld.checks import shortened
from keras_asgld.runs import rendezvous
from keras_asgld.runs.files import ExperimentError

TIMEOUT = 300  # seconds in which workers have to meet, if the user does not say


@functools.cache  # TensorFlow takes one configuration of workers per process
def make(name):
    """An object with a `scope()` for building and compiling the model in.

    That of several workers must be made before TensorFlow computes anything, and once
    they have met (`meet`): it waits for those who are missing and hears no Ctrl-C.

    Args:
        name: `"one"` (no strategy), `"mirrored"` (every GPU of this machine, or
            its logical CPU devices) or `"multiworker"` (this process and the others
            that the environment variable TF_CONFIG names, with their devices).
    """
    if name == "one":
        return _One()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ExperimentError(
            "`strategy` must be one where the Keras backend is not TensorFlow. "
            f"Received: strategy={name}, on {keras.backend.backend()}"
        )
    import tensorflow as tf

    if name == "multiworker":
        check_workers()
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise ExperimentError(f"the workers cannot meet: {error}") from error
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices)


def is_chief(name):
    """Whether this process is the one that writes."""
    if name != "multiworker":
        return True
    cluster, kind, index = check_workers()
    return kind == "chief" or ("chief" not in cluster and index == 0)


def meet(seconds, tell):
    """Wait until all the workers that TF_CONFIG names are there.

    Args:
        seconds: How long.
        tell: Called with a line that says which worker this is, and that it waits.

    Raises:
        ExperimentError: They were not all there in time, or TF_CONFIG is wrong.
    """
    cluster, kind, index = check_workers()
    workers = {
        (job, i): address
        for job in ("chief", "worker")
        for i, address in enumerate(cluster.get(job, ()))
    }
    tell(f"{kind} {index} waits until all {len(workers)} are there")
    rendezvous.meet(workers, (kind, index), seconds)


def check_workers():
    """What TF_CONFIG says: the cluster, and this process's kind and index in it.

    Raises:
        ExperimentError: TF_CONFIG is missing or does not say that.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], task["index"]
        index = int(index) if isinstance(index, str) else index
        addresses = cluster[kind]
        good = kind in ("chief", "worker") and type(index) is int
        good = good and 0 <= index < len(addresses)
        good = good and all(map(_is_address, sum(cluster.values(), [])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise ExperimentError(
            "`strategy` multiworker must find in the environment variable TF_CONFIG "
            "the addresses of all workers and which of them this one is, as "
            '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, '
            '"task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={shortened(text) or 'nothing'}"
        )
    return cluster, kind, index


def _is_address(text):
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


class _One:
    def scope(self):
        return contextlib.nullcontext()
