"""Trains chains, and kills itself in the midst of one if it is told to.

`chained.py DIRECTORY CHAIN EPOCH` kills itself in that epoch of that chain, counted
from 0, after a step; a CHAIN below 0 lets it finish. It prints, as JSON, the histories
and which chains it has trained.
"""

import json
import os
import signal
import sys

import keras

from keras_asgld import Chains
from tests.support.monitored import compiled, data, make

EPOCHS = 4


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.due = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.due and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main(directory, chain, epoch):
    trained = []

    def callbacks(number):
        trained.append(number)
        return [Kill(epoch)] if number == chain else []

    chains = Chains(compiled(make("SGHMC"), normalised=True), 3, directory)
    histories = chains.fit(
        *data(), epochs=EPOCHS, batch_size=8, callbacks=callbacks, verbose=0
    )
    print(json.dumps({"trained": trained, "histories": histories}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
