"""The networks of the experiments, which return logits, and `HubLayer`."""

from keras_asgld.models.airbench import airbench
from keras_asgld.models.building import MODELS, build
from keras_asgld.models.densenet import densenet
from keras_asgld.models.hub_layer import HubLayer
from keras_asgld.models.resnet import resnet
from keras_asgld.models.small import digits_network, small_cnn
from keras_asgld.models.whitening import Whitening

__all__ = [
    "MODELS",
    "HubLayer",
    "Whitening",
    "airbench",
    "build",
    "densenet",
    "digits_network",
    "resnet",
    "small_cnn",
]
