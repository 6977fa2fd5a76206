"""The Langevin optimizers of Keras 3."""

from keras_asgld.optimizers import ASGLD

__all__ = ["ASGLD"]
__version__ = "0.1.0"
