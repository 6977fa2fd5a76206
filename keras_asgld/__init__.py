"""The Langevin optimizers of Keras 3, and callbacks for what their noise is for."""

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
from keras_asgld.version import __version__ as __version__

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
