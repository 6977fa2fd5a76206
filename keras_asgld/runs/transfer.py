"""A network that has learned other classes before it is trained further."""

import functools
import weakref

import keras

from keras_asgld import models
from keras_asgld.runs import whitening

EPOCHS, LEARNING_RATE = 6, 0.003  # of Adam, in the training before

_trained = weakref.WeakKeyDictionary()  # the data of before → weights by network


def network(name, data, jit_compile):
    """A function of a seed that builds the network, trained on what came before.

    That training is done once in a process. Its weights depend on the network and the
    data alone: every run starts from them, whatever its seed, which is of the last
    layer's new weights.

    Args:
        name: As `models.build` takes it.
        data: The `Data`, which has one of before.
        jit_compile: Whether the training before is compiled with XLA.
    """
    known = _trained.setdefault(data.before, {})
    if name not in known:
        known[name] = _train(name, data.before, jit_compile)
    return functools.partial(_build, name, data, known[name])


def _train(name, data, jit_compile):
    model = models.build(name, data.input_shape, data.outputs, 0)
    whitening.adapt(model, data)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=jit_compile)
    model.fit(
        data.train(),
        steps_per_epoch=data.steps_per_epoch,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    )
    return model.get_weights()


def _build(name, data, pretrained, seed):
    fresh = models.build(name, data.input_shape, data.outputs, seed)
    last = len(fresh.layers[-1].weights)
    fresh.set_weights(pretrained[:-last] + fresh.get_weights()[-last:])
    return fresh
