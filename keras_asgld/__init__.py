"""The Langevin optimizers of Keras 3."""

from keras_asgld.optimizers import ASGLD, PSGLD, SGHMC, SGLD, CyclicTemperature

__all__ = ["ASGLD", "PSGLD", "SGHMC", "SGLD", "CyclicTemperature"]
__version__ = "0.1.0"
