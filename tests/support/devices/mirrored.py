"""Two replicas on logical CPU devices; prints what they end with."""

import sys

import numpy as np
import tensorflow as tf

from tests.support.devices import task

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = task.fit()
slots = [s for v in model.trainable_variables for s in model.optimizer.slots(v)]
replicas = [
    [value.numpy() for value in strategy.experimental_local_results(v.value)]
    for v in [*model.trainable_variables, *slots]
]
assert all(len(values) == 2 for values in replicas)
for first, second in replicas:
    np.testing.assert_array_equal(first, second)
alone = task.weights(task.fit())
for (value, _), expected in zip(replicas, alone, strict=False):
    np.testing.assert_allclose(value, expected, atol=2e-6)
sys.stdout.write("replicas agree\n")
