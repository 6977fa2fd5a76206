"""Trains while TensorFlow checks all numbers; prints what came of it."""

import keras
import numpy as np
import tensorflow as tf

from keras_asgld import ASGLD, PSGLD, SGHMC, SGLD

OPTIMIZERS = [
    ASGLD(0.05, seed=0),
    ASGLD(0.05, momentum=0.0, noise=0.0, seed=0),
    SGLD(0.05, temperature=0.01, seed=0),
    PSGLD(0.05, temperature=0.01, seed=0),
    SGHMC(0.05, 0.9, temperature=0.01, seed=0),
]


def fit(optimizer, x):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(optimizer, "mse")
    model.fit(x, np.ones((len(x), 3), "float32"), epochs=2, verbose=0)


if __name__ == "__main__":
    tf.debugging.enable_check_numerics()
    for optimizer in OPTIMIZERS:
        fit(optimizer, np.ones((8, 4), "float32"))
    print("trained")
    try:
        fit(ASGLD(0.05), np.full((8, 4), np.inf, "float32"))
    except tf.errors.InvalidArgumentError:
        print("found")
