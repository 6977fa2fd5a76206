"""However a step is run and wherever it is resumed, the noise is the same."""

import functools

import keras
import numpy as np
import pytest

from tests.support.family import Member, as_numpy, regression_data, small_model

BACKEND = keras.backend.backend()


def fitted(member, loop="fit", epochs=3, callbacks=(), **kwargs):
    model = small_model()
    model.compile(optimizer=member(), loss="mse", **kwargs)
    x, y = regression_data()
    if loop == "fit":
        how = {"batch_size": 16, "shuffle": False, "verbose": 0}
        model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **how)
        return model
    for _ in range(epochs):
        for start in range(0, 64, 16):
            model.train_on_batch(x[start : start + 16], y[start : start + 16])
    return model


@functools.cache
def weights(name, jit_compile):
    """What several tests compare with: the weights after three epochs of `fit`."""
    model = fitted(Member(name), jit_compile=jit_compile)
    return [as_numpy(v).copy() for v in model.trainable_variables]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"run_eagerly": True},
        {"jit_compile": True},
        {"steps_per_execution": 4},
        {"loop": "train_on_batch"},
    ],
    ids=str,
)
def test_every_way_to_run_a_step_gives_the_same_noise(typical, kwargs):
    if BACKEND == "torch" and "jit_compile" in kwargs:
        pytest.skip("Keras's PyTorch backend compiles by torch.compile, not XLA")
    if BACKEND == "torch" and "steps_per_execution" in kwargs:
        pytest.skip("Keras refuses steps_per_execution > 1 on PyTorch")
    expected = weights(typical.name, jit_compile=False)
    trained = fitted(typical, **kwargs)
    assert int(trained.optimizer.iterations) == 12
    for a, b in zip(trained.trainable_variables, expected, strict=True):
        # Another order of summation in the gradients; other noise would differ by
        # the size of a step, which is above 1e-2.
        np.testing.assert_allclose(as_numpy(a), b, atol=5e-5)


def test_micro_batches_accumulate_to_the_step_of_the_whole_batch(typical):
    whole = weights(typical.name, jit_compile="auto")
    model = small_model()
    optimizer = typical(gradient_accumulation_steps=4)
    model.compile(optimizer=optimizer, loss="mse")
    x, y = regression_data()
    model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(model.trainable_variables, whole, strict=True):
        np.testing.assert_allclose(as_numpy(a), b, atol=5e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="counts TensorFlow's own traces")
def test_a_step_is_traced_once_for_each_shape(member):
    import tensorflow as tf

    traces = 0
    model = small_model()
    optimizer = member()
    optimizer.build(model.trainable_variables)
    gradients = [tf.ones(v.shape) for v in model.trainable_variables]

    @tf.function
    def step():
        nonlocal traces
        traces += 1
        optimizer.apply(gradients, model.trainable_variables)

    for _ in range(4):
        step()
        optimizer.learning_rate = 0.5 * float(optimizer.learning_rate)
    assert traces == 1


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a form of TensorFlow")
def test_tensorflow_checkpoint_goes_on_to_the_bit(typical, tmp_path):
    import tensorflow as tf

    x, y = regression_data()
    model = fitted(typical)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(
        str(tmp_path / "checkpoint")
    )
    restored = small_model(seed=1)
    restored.compile(optimizer=typical(seed=99), loss="mse")
    restored.optimizer.build(restored.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=restored, optimizer=restored.optimizer)
    checkpoint.restore(path).assert_existing_objects_matched()
    for each in (model, restored):
        each.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(as_numpy(a), as_numpy(b))


def test_backup_and_restore_goes_on_to_the_bit(typical, tmp_path):
    class Interrupted(Exception):
        pass

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise Interrupted

    backup = lambda: keras.callbacks.BackupAndRestore(tmp_path / "backup")  # noqa: E731
    with pytest.raises(Interrupted):
        fitted(typical, callbacks=[backup(), Interrupt()])
    resumed = fitted(typical, callbacks=[backup()])
    assert int(resumed.optimizer.iterations) == 12
    for a, b in zip(
        resumed.variables, weights(typical.name, jit_compile="auto"), strict=True
    ):
        np.testing.assert_array_equal(as_numpy(a), b)
