"""Updates, resets TensorFlow's context as Keras's own tests do, and updates again."""

import keras
import numpy as np
from tensorflow.python.eager import context

from keras_asgld import ASGLD


def move():
    variables = [
        keras.Variable(np.ones(s, "float32")) for s in [(3,), (4, 5), (400, 400)]
    ]
    optimizer = ASGLD(0.1, seed=0)
    optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
    assert all(np.all(v.numpy() != 1) for v in variables)
    print("moved")


if __name__ == "__main__":
    move()
    context._reset_context()
    keras.backend.clear_session()
    move()
