"""A convex problem with one minimum: logistic regression, ridge penalty, 100 steps.

`convex.py FILE` leaves what the back end in use ends with, for `test_devices.py`.
"""

import sys

import keras
import numpy as np
from keras import ops

from keras_asgld import ASGLD, noise
from tests.support import reference

NUMBERS = {"learning_rate": 0.05, "momentum": 0.9, "noise": 3.0}
EPOCHS, BATCHES, BATCH, WIDTH = 10, 10, 16, 6
PENALTY = 0.01


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCHES * BATCH, WIDTH)).astype("float32")
    truth = np.linspace(-1.5, 1.5, WIDTH)
    labels = rng.random(len(x)) < 1 / (1 + np.exp(-x @ truth))
    return x, labels[:, None].astype("float32")


def train():
    """The model after 100 steps of `fit`, and its optimizer."""
    penalty = keras.regularizers.L2(PENALTY)
    dense = keras.layers.Dense(
        1, kernel_initializer="zeros", kernel_regularizer=penalty
    )
    model = keras.Sequential([keras.Input((WIDTH,)), dense])
    optimizer = ASGLD(**NUMBERS, seed=5)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    model.fit(*data(), epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0)
    return model, optimizer


def train_in_float64(draw):
    """Kernel and bias by the paper's equations and the loss's gradient, in NumPy.

    `draw(index, update, shape)` gives the standard normal noise of one variable.
    """
    x, labels = (values.astype("float64") for values in data())
    variables = [np.zeros((WIDTH, 1)), np.zeros(1)]
    slots = [[np.zeros_like(v)] * 2 for v in variables]
    for update in range(EPOCHS * BATCHES):
        rows = slice(update % BATCHES * BATCH, (update % BATCHES + 1) * BATCH)
        kernel, bias = variables
        error = 1 / (1 + np.exp(-x[rows] @ kernel - bias)) - labels[rows]
        gradients = [
            x[rows].T @ error / BATCH + 2 * PENALTY * kernel,
            error.mean(axis=0),
        ]
        for i, gradient in enumerate(gradients):
            z = draw(i, update, variables[i].shape)
            variables[i], slots[i] = reference.asgld(
                variables[i], slots[i], gradient, z, **NUMBERS
            )
    return variables


def random_bits(optimizer):
    """The bits behind the kernel's noise at each of the updates."""
    words = ops.convert_to_tensor(optimizer.noise_words)[0]
    bits = [
        noise.random_bits(noise.noise_key(words, update), (WIDTH, 1))
        for update in ops.arange(EPOCHS * BATCHES, dtype="int32")
    ]
    return ops.convert_to_numpy(ops.stack(bits))


if __name__ == "__main__":
    model, optimizer = train()
    kernel, bias = (ops.convert_to_numpy(v) for v in model.trainable_variables)
    np.savez(sys.argv[1], bits=random_bits(optimizer), kernel=kernel, bias=bias)
