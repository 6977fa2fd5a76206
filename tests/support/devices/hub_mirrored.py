"""A HubLayer under MirroredStrategy on two CPU devices, beside one device."""

import sys

import keras
import numpy as np
import tensorflow as tf

from keras_asgld import ASGLD
from keras_asgld.models import HubLayer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
X = np.random.RandomState(1).normal(size=(32, 6)).astype("float32")
Y = X[:, :1] + 0.5


def trained(optimizer, strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        layer = HubLayer(sys.argv[1], trainable=True)
        inputs = keras.Input((6,))
        model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
        model.compile(optimizer=optimizer(), loss="mse")
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    model.fit(data, epochs=3, verbose=0)
    return model


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = tf.distribute.OneDeviceStrategy("CPU:0")
for optimizer in (lambda: ASGLD(0.01, seed=0), lambda: keras.optimizers.Adam(0.01)):
    model, other = trained(optimizer, mirrored), trained(optimizer, one)
    start = HubLayer(sys.argv[1]).get_weights()
    assert not np.array_equal(model.layers[1].get_weights()[0], start[0])
    for variable in model.trainable_variables:
        first, second = (copy.numpy() for copy in variable.value.values)
        np.testing.assert_array_equal(first, second)
    # Statistics are each replica's own; what a replica trains with is its own share.
    for mine, theirs in zip(
        model.trainable_variables, other.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=0.05, atol=0.02)
print("replicas equal device equal")
