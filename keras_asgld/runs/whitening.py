"""Shows a network's whitening layer what it will be trained on."""

from keras_asgld.models import Whitening

# Enough for a matrix of 12 x 12, and read in a second.
PICTURES = 5000


def adapt(model, data):
    """Adapts such a layer, where the model has one, to training pictures of a `Data`.

    They are the same for every seed.
    """
    for layer in model.layers:
        if isinstance(layer, Whitening):
            layer.adapt(data.plain(PICTURES))
