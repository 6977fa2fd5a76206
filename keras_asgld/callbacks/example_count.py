"""Compares the examples of an epoch with those that a sampler was told of."""

import keras

from keras_asgld.callbacks.steps import inner_optimizer
from keras_asgld.optimizers.sampler import LangevinSampler


class ExampleCount(keras.callbacks.Callback):
    """Base class of the callbacks that notice a wrong `examples` of a sampler.

    Keras counts the examples that its training loss is the mean of. That count is read
    at the end of each epoch, before validation begins a new one. It is not read of an
    epoch that was stopped early, nor known of a `train_step` that leaves the loss's own
    metric alone.
    """

    _counted = True

    def on_epoch_begin(self, epoch, logs=None):
        self._counted = False

    def on_test_begin(self, logs=None):
        self._compare()

    def on_epoch_end(self, epoch, logs=None):
        self._compare()

    def _compare(self):
        model = self.model
        optimizer = inner_optimizer(getattr(model, "optimizer", None))
        if self._counted or not isinstance(optimizer, LangevinSampler):
            return
        self._counted = True
        if not model.stop_training:
            means = [each for each in model.metrics if each.name == "loss"]
            count = getattr(means[0], "count", None) if means else None
            if count is not None:
                count = float(keras.ops.convert_to_numpy(count))
                optimizer.notice_examples(round(count))
