"""The command with a network that splits over devices: `worker.py DIE_AFTER FLAG …`.

It has no batch normalisation, whose statistics are those of a replica's own rows. After
DIE_AFTER epochs the process ends itself without a word; 0 is never.
"""

import os
import signal
import sys

import keras

from keras_asgld import models
from keras_asgld.cli import command
from keras_asgld.runs import training


def build(name, input_shape, num_classes, seed=None, **_):
    kernel = keras.initializers.HeNormal(seed)
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="tanh", kernel_initializer=kernel),
        keras.layers.Dense(num_classes, kernel_initializer="zeros"),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


class Mortal(training._Recorder):
    def on_train_begin(self, logs=None):
        print(f"writes to {self.folder}.", file=sys.stderr)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if epoch + 1 == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    models.build = build
    training._Recorder = Mortal
    sys.exit(command.main(["train", *sys.argv[2:]]))
