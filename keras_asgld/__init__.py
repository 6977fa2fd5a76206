"""The Langevin optimizers of Keras 3, and callbacks for what their noise is for."""

import os
import sys

__all__ = [
    "ASGLD",
    "PSGLD",
    "SGHMC",
    "SGLD",
    "CyclicTemperature",
    "NoiseMonitor",
    "WeightEnsemble",
]
__version__ = "0.1.0"


def __getattr__(name):
    if name in __all__:
        from keras_asgld import callbacks, optimizers

        return getattr(callbacks if hasattr(callbacks, name) else optimizers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Keras finds the classes of a saved model only once they are registered, so they are
# loaded here and now; but not for the command, whose help and error messages need not
# wait seconds for Keras and its back end.
if os.path.basename(sys.argv[0]).removesuffix(".exe") not in ("-m", "keras-asgld"):
    from keras_asgld.callbacks import NoiseMonitor, WeightEnsemble
    from keras_asgld.optimizers import ASGLD, PSGLD, SGHMC, SGLD, CyclicTemperature
