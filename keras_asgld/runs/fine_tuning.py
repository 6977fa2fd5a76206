"""Fine-tuning in two stages: the new last layer alone, then everything, slower.

The stage is a function of the epoch and the optimizer knows all variables from the
start, so that a run that is resumed in either stage ends as one that was not.
"""

import contextlib
import math

import keras
from keras import ops

from keras_asgld.callbacks.steps import inner_optimizer
from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.stages import langevin


def check_backend(settings):
    """Raise where Keras cannot train a part of what an optimizer was built with.

    Raises:
        ExperimentError: The run has a stage of the new layer alone, on JAX.
    """
    chosen = settings.fine_tuning
    if chosen and chosen["freeze"] and keras.backend.backend() == "jax":
        raise ExperimentError(
            "`freeze` must be 0 on JAX, where Keras trains all variables of an "
            "optimizer or none: set KERAS_BACKEND to tensorflow or torch. "
            f"Received: freeze={chosen['freeze']}"
        )


@contextlib.contextmanager
def precision(settings):
    """Within it layers are made that compute in the dtype that the run asks for."""
    before = keras.config.dtype_policy()
    if settings.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{settings.mixed_precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def quieten(settings, model, optimizer):
    """Keeps noise off the pretrained part; call it before the optimizer is built."""
    chosen = settings.fine_tuning
    if chosen and not chosen["noisy"] and langevin(settings.optimizer):
        variables = _trunk(settings, model).trainable_variables
        optimizer.exclude_from_noise(var_list=variables)


def callbacks(settings, model, warn):
    """What freezes the pretrained part, and lets it go when its epochs are over.

    Args:
        settings: The run's `Settings`.
        model: The compiled model.
        warn: Called with one line if the new layer has learned nothing alone.
    """
    if not settings.fine_tuning:
        return []
    return [_Stages(_trunk(settings, model), settings.fine_tuning, warn)]


class _Stages(keras.callbacks.Callback):
    def __init__(self, trunk, chosen, warn):
        super().__init__()
        self.trunk = trunk
        self.frozen_epochs = chosen["freeze"]
        self.clipnorm = chosen["unfreeze_clipnorm"] or None
        self.warn = warn

    def on_epoch_begin(self, epoch, logs=None):
        from keras_asgld.models.pretrained import set_trainable

        unfrozen = epoch >= self.frozen_epochs
        optimizer = inner_optimizer(self.model.optimizer)
        clipnorm = self.clipnorm if unfrozen else None
        changed = (self.trunk.trainable, optimizer.global_clipnorm) != (
            unfrozen,
            clipnorm,
        )
        if self.trunk.trainable != unfrozen:
            set_trainable(self.trunk, unfrozen)
        if epoch == self.frozen_epochs:
            for velocity in _velocities(optimizer, self.model.trainable_variables):
                velocity.assign(ops.zeros_like(velocity))
        if changed:
            # A plain attribute in Keras, which each traced step holds as a constant.
            optimizer.global_clipnorm = clipnorm
            # Both were traced with the variables, modes and losses of the other stage.
            self.model.train_function = self.model.test_function = None
            self.model.make_train_function()

    def on_epoch_end(self, epoch, logs=None):
        classes = self.model.output_shape[-1]
        if epoch + 1 == self.frozen_epochs and logs["val_loss"] > math.log(classes):
            self.warn(
                f"after its epochs alone the new layer's loss, {logs['val_loss']:.2f}, "
                f"is above that of guessing, {math.log(classes):.2f}: try another "
                "--learning_rate or a larger --freeze"
            )


def _velocities(optimizer, variables):
    """The slots that hold steps, not gradients.

    A step of the new layer's rate would carry the layer on for many steps of a far
    lower one.
    """
    if isinstance(optimizer, keras.optimizers.SGD):
        return [velocity for velocity in optimizer.momentums if velocity is not None]
    if "momentum" not in getattr(optimizer, "slot_names", ()):
        return []
    place = optimizer.slot_names.index("momentum")
    return [slots[place] for slots in map(optimizer.slots, variables) if slots]


def _trunk(settings, model):
    from keras_asgld.models.pretrained import pretrained_part

    trunk = pretrained_part(model)
    if trunk is None:
        raise ExperimentError(f"{settings.model} has no pretrained part to fine-tune")
    return trunk
