from keras_asgld.optimizers.asgld import ASGLD
from keras_asgld.optimizers.psgld import PSGLD
from keras_asgld.optimizers.schedules import CyclicTemperature
from keras_asgld.optimizers.sghmc import SGHMC
from keras_asgld.optimizers.sgld import SGLD

__all__ = ["ASGLD", "PSGLD", "SGHMC", "SGLD", "CyclicTemperature"]
