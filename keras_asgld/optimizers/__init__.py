from keras_asgld.optimizers.asgld import ASGLD
from keras_asgld.optimizers.baoa import BAOA
from keras_asgld.optimizers.prior import Prior
from keras_asgld.optimizers.psgld import PSGLD
from keras_asgld.optimizers.scale_free_asgld import ScaleFreeASGLD
from keras_asgld.optimizers.schedules import CyclicTemperature
from keras_asgld.optimizers.sghmc import SGHMC
from keras_asgld.optimizers.sgld import SGLD
from keras_asgld.optimizers.sgnht import SGNHT

__all__ = [
    "ASGLD",
    "BAOA",
    "PSGLD",
    "SGHMC",
    "SGLD",
    "SGNHT",
    "CyclicTemperature",
    "Prior",
    "ScaleFreeASGLD",
]
