"""Eight host devices: data and model parallel training against one device."""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_asgld import SGLD  # noqa: E402
from tests.support.devices import task  # noqa: E402

assert len(jax.devices()) == 8


def distribution(kind):
    if kind == "data":
        return keras.distribution.DataParallel()
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden.*kernel"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def pure_noise():
    """Weights that only noise has moved: SGLD on a loss without gradients."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, name="hidden_3"),
            keras.layers.Dense(8, name="hidden_4"),
        ]
    )
    model.compile(
        optimizer=SGLD(0.5, temperature=1.0, seed=1),
        loss=lambda y, prediction: 0.0 * keras.ops.sum(prediction, axis=-1),
    )
    model.fit(np.ones((32, 8)), np.ones((32, 8)), batch_size=16, epochs=3, verbose=0)
    return model


alone = [task.weights(task.fit()), task.weights(pure_noise())]
for kind in ("data", "model"):
    keras.distribution.set_distribution(distribution(kind))
    trained, moved = task.fit(), pure_noise()
    shards = {
        tuple(v.value.sharding.spec) for v in moved.trainable_variables if v.ndim == 2
    }
    assert (kind == "model") == ((None, "model") in shards), shards
    for value, expected in zip(task.weights(moved), alone[1], strict=True):
        np.testing.assert_array_equal(value, expected)
    for value, expected in zip(task.weights(trained), alone[0], strict=True):
        np.testing.assert_allclose(value, expected, atol=2e-6)
    keras.distribution.set_distribution(None)
sys.stdout.write("shards agree\n")
