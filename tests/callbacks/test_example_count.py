"""A sampler that was told of another number of examples than `fit` has is noticed."""

import tempfile
import warnings

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD, SGHMC, SGLD, NoiseMonitor, WeightEnsemble

BACKEND = keras.backend.backend()


def data(n):
    return np.ones((n, 4), "float32"), np.ones((n, 1), "float32")


def noticed(
    folder, optimizer, n, callbacks=None, together=1, model=None, eagerly=False, **fit
):
    """The warnings of a run on n examples that name `examples`.

    A few steps are faster run eagerly than traced.
    """
    model = model or keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", steps_per_execution=together, run_eagerly=eagerly)
    if callbacks is None:
        # Each run has a directory of its own.
        callbacks = [WeightEnsemble(tempfile.mkdtemp(dir=folder))]
    fit = {"batch_size": 32, "epochs": 2, "verbose": 0, **fit}
    x = fit.pop("x", None)
    arguments = data(n) if x is None else (x,)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*arguments, callbacks=callbacks, **fit)
    return [w for w in (str(each.message) for each in caught) if "`examples`" in w]


def told(examples=100, **kwargs):
    return SGLD(0.01, examples=examples, seed=0, **kwargs)


@pytest.mark.parametrize("n", [99, 100, 101])
def test_the_right_number_is_right_within_one_percent(tmp_path, n):
    assert noticed(tmp_path, told(), n, eagerly=True) == []


@pytest.mark.parametrize("n", [32, 98, 102, 1000])
def test_another_number_is_noticed_once(tmp_path, n):
    [warning] = noticed(tmp_path, told(), n, eagerly=n < 200)
    assert f"an epoch had {n}." in warning
    assert warning.endswith("Received: examples=100")


def test_both_callbacks_notice_and_warn_once(tmp_path):
    both = [NoiseMonitor(), WeightEnsemble(tmp_path)]
    optimizer = told()
    assert len(noticed(tmp_path, optimizer, 50, both)) == 1
    assert len(noticed(tmp_path, told(), 50, [NoiseMonitor()])) == 1


def test_examples_of_the_validation_do_not_count(tmp_path):
    assert noticed(tmp_path, told(), 100, validation_data=data(7)) == []
    [warning] = noticed(tmp_path, told(7), 100, validation_data=data(7))
    assert "an epoch had 100." in warning
    # What is set aside is no training example.
    [warning] = noticed(tmp_path, told(), 100, validation_split=0.2)
    assert "an epoch had 80." in warning


def test_generators_and_several_steps_in_one_go_are_counted(tmp_path):
    sizes = [40, 40, 20] * 3
    batches = lambda: (data(n) for n in sizes)  # noqa: E731
    fit = {"x": batches(), "steps_per_epoch": 3, "batch_size": None}
    assert noticed(tmp_path, told(), 0, **fit) == []
    fit = {"x": batches(), "steps_per_epoch": 2, "epochs": 2, "batch_size": None}
    [warning] = noticed(tmp_path, told(), 0, **fit)
    assert "an epoch had 80." in warning
    if BACKEND != "torch":
        assert noticed(tmp_path, told(), 100, together=2) == []
        assert len(noticed(tmp_path, told(), 50, together=2)) == 1


def test_accumulation_and_a_loss_scale_optimizer_are_looked_through(tmp_path):
    steps = {"gradient_accumulation_steps": 2}
    assert noticed(tmp_path, told(**steps), 100, eagerly=True) == []
    for n, count in ((100, 0), (50, 1)):
        optimizer = keras.optimizers.LossScaleOptimizer(told())
        assert len(noticed(tmp_path, optimizer, n, eagerly=True)) == count


def test_an_epoch_that_was_stopped_is_not_counted(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    callbacks = [Stop(), WeightEnsemble(tmp_path)]
    assert noticed(tmp_path, told(), 100, callbacks, batch_size=10) == []


def test_a_training_step_that_counts_nothing_is_left_alone(tmp_path):
    class Silent(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.score = keras.metrics.Mean("score")

        def call(self, x):
            return self.dense(x)

        @property
        def metrics(self):
            return [self.score]

    assert noticed(tmp_path, told(), 50, model=Silent()) == []


def test_optimizers_without_a_number_have_none_that_is_wrong(tmp_path):
    for optimizer in (ASGLD(0.01), SGHMC(0.01, 0.9, 0.01), keras.optimizers.SGD(0.01)):
        assert noticed(tmp_path, optimizer, 50, eagerly=True) == []
