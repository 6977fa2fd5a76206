"""How well calibrated a run's last weights and its ensemble are."""

import dataclasses

import keras
import numpy as np

from keras_asgld import calibration
from keras_asgld.runs.record_contents import KINDS


def measure(model, ensemble, data):
    """The numbers of the model as it is and of its ensemble, on the test pictures.

    Args:
        model: A Keras model from pictures to logits.
        ensemble: A `WeightEnsemble` with members.
        data: A `Data`.

    Returns:
        A dict that JSON can hold: by key of `KINDS`, the numbers of `CALIBRATION`, the
        `entropy` on the test pictures, a `reliability` diagram, and the ensemble's
        number of `members`.
    """
    batches = [map(keras.ops.convert_to_numpy, batch) for batch in data.test()]
    pictures, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    strange = scrambled(pictures)

    def last(x):
        logits = model.predict(x, batch_size=data.batch_size, verbose=0)
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    def mean(x):
        return ensemble.predict(x, batch_size=data.batch_size).mean

    found = {
        kind: _numbers(predict(pictures), labels, predict(strange))
        for kind, predict in zip(KINDS, (last, mean), strict=True)
    }
    found["ensemble"]["members"] = len(ensemble)
    return found


def scrambled(pictures, seed=0):
    """The pictures with the sixteen pieces of a 4 x 4 grid in another order each.

    What is left is out of distribution: its pixels and textures are those of the
    pictures, its shapes are none. Rows and columns that four does not divide stay.
    """
    pictures = pictures.copy()
    height, width = (size // 4 for size in pictures.shape[1:3])
    rng = np.random.default_rng(seed)
    for picture in pictures:
        places = [
            (slice(i * height, (i + 1) * height), slice(j * width, (j + 1) * width))
            for i in range(4)
            for j in range(4)
        ]
        pieces = [picture[place].copy() for place in places]
        for place, piece in zip(places, rng.permutation(16), strict=True):
            picture[place] = pieces[piece]
    return pictures


def _numbers(probabilities, labels, strange):
    diagram = calibration.reliability(probabilities, labels)
    return {
        **calibration.figures(probabilities, labels),
        "scrambled_entropy": float(calibration.entropy(strange).mean()),
        "reliability": {
            name: values.tolist()
            for name, values in dataclasses.asdict(diagram).items()
        },
    }
