"""`tf.distribute` strategies by name."""

import contextlib
import functools
import json
import os

from keras_asgld.runs.files import ExperimentError


@functools.cache  # TensorFlow takes one configuration of workers per process
def make(name):
    """An object with a `scope()` for building and compiling the model in.

    That of several workers must be made before TensorFlow computes anything, and waits
    until all of them are there.

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


def waiting():
    """A line to say which worker this is, and that it waits for the others."""
    cluster, kind, index = check_workers()
    return f"{kind} {index} waits until all {sum(map(len, cluster.values()))} are there"


def check_workers():
    """What TF_CONFIG says: the cluster, and this process's kind and index in it.

    Raises:
        ExperimentError: TF_CONFIG is missing or does not say that.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        addresses = cluster[kind]
        good = kind in ("chief", "worker") and 0 <= index < len(addresses)
        good = good and all(":" in a for each in cluster.values() for a in each)
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise ExperimentError(
            "`strategy` multiworker must find in the environment variable TF_CONFIG "
            "the addresses of all workers and which of them this one is, as "
            '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, '
            '"task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={text or 'nothing'}"
        )
    return cluster, kind, index


class _One:
    def scope(self):
        return contextlib.nullcontext()
