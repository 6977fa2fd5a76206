"""Several runs of one model, for samples that can be judged."""

from keras_asgld.sampling.chains import Chains

__all__ = ["Chains"]
