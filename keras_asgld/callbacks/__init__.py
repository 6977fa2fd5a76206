from keras_asgld.callbacks.noise_monitor import NoiseMonitor
from keras_asgld.callbacks.weight_ensemble import WeightEnsemble

__all__ = ["NoiseMonitor", "WeightEnsemble"]
