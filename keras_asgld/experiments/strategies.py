"""`tf.distribute` strategies by name."""

import contextlib

import keras

from keras_asgld.experiments.files import ExperimentError


def make(name):
    """An object with a `scope()` for building and compiling the model in.

    Args:
        name: `"one"` (no strategy) or `"mirrored"` (every GPU of this machine, or
            its logical CPU devices).
    """
    if name == "one":
        return _One()
    if keras.backend.backend() != "tensorflow":
        raise ExperimentError(f"--strategy={name} needs the TensorFlow backend")
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices)


class _One:
    def scope(self):
        return contextlib.nullcontext()
