"""The network that a run trains, compiled as its settings ask, and its randomness."""

import contextlib
import functools
import re

import keras

from keras_asgld.runs import (
    environment,
    fine_tuning,
    smoothing,
    tasks,
    whitening,
)
from keras_asgld.runs import (
    optimizers as named,
)
from keras_asgld.runs.files import ExperimentError


def is_compiled(settings):
    """Whether the step is compiled; with "auto" as suits backend and device.

    On JAX everything else is slow, PyTorch's compiler is for those who ask for it, and
    TensorFlow's XLA pays on an accelerator.
    """
    if settings.jit_compile in ("on", "off"):
        return settings.jit_compile == "on"
    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    devices = environment.devices()
    return settings.strategy == "one" and not devices[0].startswith("cpu")


@contextlib.contextmanager
def fused(settings):
    """Lets XLA fuse what lies between convolutions and products, if settings ask.

    That is for TensorFlow on a CPU, where the step as a whole is not compiled because
    XLA's own convolutions are slow there.

    Raises:
        ExperimentError: `environment.allow_fusion` should have been called before.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    fuses = settings.jit_compile == "elementwise" and not is_compiled(settings)
    if fuses and not environment.fusion_is_allowed():
        raise ExperimentError(
            "`jit_compile` must not be elementwise where TensorFlow has not been "
            "started for it: call keras_asgld.runs.environment.allow_fusion() before "
            "TensorFlow computes anything. Received: jit_compile=elementwise"
        )
    before = bool(tf.config.optimizer.get_jit())
    tf.config.optimizer.set_jit(fuses)
    try:
        yield
    finally:
        tf.config.optimizer.set_jit(before)


def make_deterministic(seed, jit_compile):
    """Lets what is built and trained from here on depend on the seed alone."""
    keras.backend.clear_session()
    environment.set_seed(seed)
    # Keras compiles no step with XLA while TensorFlow's deterministic operations
    # are asked for; XLA's own are, by a flag that `environment` sets.
    if keras.backend.backend() == "tensorflow" and not jit_compile:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build(settings, data, jit_compile, network=None):
    """The network, compiled.

    Args:
        settings: The run's `Settings`.
        data: Its data.
        jit_compile: As in `model.compile`.
        network: A function from a seed to the network, where that is given.

    Raises:
        ExperimentError: The network cannot be made.
    """
    from keras_asgld import models

    arguments = {
        name: value
        for name, value in (settings.fine_tuning or {}).items()
        if name in ("weights", "max_unpacked_bytes")
    }
    try:
        with fine_tuning.precision(settings):
            make = network or functools.partial(
                models.build,
                settings.model,
                data.input_shape,
                data.outputs,
                **arguments,
                **data.normalised_by,
            )
            model = make(seed=settings.seed)
            if network is None:
                whitening.adapt(model, data)
    except (ValueError, OSError, ImportError) as error:
        raise ExperimentError(_by_flags(str(error))) from error
    optimizer = named.make(settings, data.steps_per_epoch)
    fine_tuning.quieten(settings, model, optimizer)
    score = tasks.TASKS[settings.dataset].score
    loss = score.loss()
    if settings.label_smoothing:
        loss = smoothing.SmoothedCrossentropy(settings.label_smoothing)
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=[score.keras_metric()],
        jit_compile=jit_compile,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _by_flags(text):
    """An error of the models, which call the rest of --model=hub/HANDLE `handle`."""
    text = " ".join(text.split()).replace("`handle`", "`model`")
    return re.sub(r"\bhandle=(['\"])", r"model=\1hub/", text)
