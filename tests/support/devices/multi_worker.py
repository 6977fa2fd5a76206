"""One of two workers: `multi_worker.py INDEX PORT PORT FILE`."""

import json
import os
import sys

index, *ports, out = sys.argv[1:]
os.environ["TF_CONFIG"] = json.dumps(
    {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": int(index)},
    }
)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.support.devices import task  # noqa: E402

strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    model, optimizer = task.model(), task.optimizer()
    optimizer.build(model.trainable_variables)


@tf.function
def step(x, y):
    def replica(x, y):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean(tf.square(model(x, training=True) - y))
            # The optimizer sums the workers' gradients.
            error /= strategy.num_replicas_in_sync
        gradients = tape.gradient(error, model.trainable_weights)
        optimizer.apply(gradients, model.trainable_variables)

    strategy.run(replica, args=(x, y))


x, y = task.data()
for _ in range(3):
    for start in range(int(index), len(x), 2 * task.BATCH):
        rows = slice(start, start + 2 * task.BATCH, 2)
        step(tf.constant(x[rows]), tf.constant(y[rows]))
np.savez(out, *task.weights(model))
