"""Goes on with saved models in this process, which did not make them.

`continued.py OUT PATH PATH …` loads each model, trains it as the test does and leaves
its variables as `OUT/0.npz`, `OUT/1.npz`, …
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_asgld  # noqa: F401  (its classes are in the files)
from tests.support.family import regression_data


def go_on(model):
    model.fit(*regression_data(), epochs=2, verbose=0, shuffle=False)
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


if __name__ == "__main__":
    out, *paths = sys.argv[1:]
    for i, path in enumerate(paths):
        np.savez(Path(out) / f"{i}.npz", *go_on(keras.saving.load_model(path)))
