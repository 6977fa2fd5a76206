"""The Langevin optimizers of Keras 3, and callbacks for what their noise is for."""

import sys

from keras_asgld.version import __version__ as __version__

# `python -m keras_asgld` runs this file before `__main__`. The command takes nothing
# from here, and its help and complaints should not wait for Keras, nor fail with it.
_started = sys.orig_argv[-len(sys.argv)] if sys.argv[:1] == ["-m"] else None

if _started not in (__name__, f"-m{__name__}"):
    from keras_asgld import calibration, config, diagnostics
    from keras_asgld.callbacks import NoiseMonitor, WeightEnsemble
    from keras_asgld.optimizers import (
        ASGLD,
        BAOA,
        PSGLD,
        SGHMC,
        SGLD,
        SGNHT,
        CyclicTemperature,
        Prior,
        ScaleFreeASGLD,
    )
    from keras_asgld.sampling import Chains

__all__ = [
    "ASGLD",
    "BAOA",
    "PSGLD",
    "SGHMC",
    "SGLD",
    "SGNHT",
    "Chains",
    "CyclicTemperature",
    "NoiseMonitor",
    "Prior",
    "ScaleFreeASGLD",
    "WeightEnsemble",
    "calibration",
    "config",
    "diagnostics",
]


def __dir__():
    return sorted([*__all__, "__version__"])
