from keras_asgld.optimizers.asgld import ASGLD

__all__ = ["ASGLD"]
