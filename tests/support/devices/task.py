"""What every device test trains: a small model on fixed data, with any member."""

import keras
import numpy as np

from keras_asgld import ASGLD

STEPS, BATCH = 6, 16


def model(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="tanh", name="hidden_1"),
            keras.layers.Dense(16, activation="tanh", name="hidden_2"),
            keras.layers.Dense(1, name="output"),
        ]
    )


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, 8)).astype("float32")
    return x, np.sin(x.sum(axis=1, keepdims=True)).astype("float32")


def optimizer():
    return ASGLD(0.05, noise=2.0, seed=3)


def fit(**kwargs):
    """Trains on the data in order, three epochs; returns the model."""
    trained = model()
    trained.compile(optimizer=optimizer(), loss="mse", **kwargs)
    x, y = data()
    trained.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
    return trained


def weights(trained):
    return [keras.ops.convert_to_numpy(v) for v in trained.trainable_variables]
