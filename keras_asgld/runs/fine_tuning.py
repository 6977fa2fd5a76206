"""Fine-tuning in two stages: the new last layer alone, then everything, slower.

The stage is a function of the epoch and the optimizer knows all variables from the
start, so that a run that is resumed in either stage ends as one that was not.
"""

import contextlib

import keras

from keras_asgld.runs.files import ExperimentError
from keras_asgld.runs.stages import langevin


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


def callbacks(settings, model):
    """What freezes the pretrained part, and lets it go when its epochs are over."""
    if not settings.fine_tuning:
        return []
    return [_Freezing(_trunk(settings, model), settings.fine_tuning["freeze"])]


class _Freezing(keras.callbacks.Callback):
    def __init__(self, trunk, epochs):
        super().__init__()
        self.trunk = trunk
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        trainable = epoch >= self.epochs
        if self.trunk.trainable == trainable:
            return
        from keras_asgld.models.pretrained import set_trainable

        set_trainable(self.trunk, trainable)
        # Both were traced with the variables, modes and losses of the other stage.
        self.model.train_function = self.model.test_function = None
        self.model.make_train_function()


def _trunk(settings, model):
    from keras_asgld.models.pretrained import pretrained_part

    trunk = pretrained_part(model)
    if trunk is None:
        raise ExperimentError(f"{settings.model} has no pretrained part to fine-tune")
    return trunk
