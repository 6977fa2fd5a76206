"""ASGLD taken apart, for the study: its mean and its noise, each alone and replaced."""

import keras
from keras import ops

from keras_asgld.optimizers import ASGLD

NOISES = ("own", "none", "isotropic")


def control(
    gradient, variable, mu, C, z, learning_rate, momentum, noise, mean, own, isotropic
):
    """ASGLD's rule with parts exchanged.

    What joins the gradient is the running mean (`mean` of 1) or, so that the
    effective step stays, the gradient itself (0). The noise has the standard
    deviation `own * sqrt(C) + isotropic`.
    """
    mu = mu + (1 - momentum) * (gradient - mu)
    C = momentum * C + (1 - momentum) / momentum * ops.square(gradient - mu)
    xi = mean * mu + (1 - mean) * gradient + (own * ops.sqrt(C) + isotropic) * z
    return variable - learning_rate * (gradient + noise * xi), mu, C


class Control(ASGLD):
    """ASGLD with its mean or its noise off, or noise of one size for all weights.

    Args:
        mean: Whether the running mean joins the step. Without it the gradient takes
            its place, so that the effective step `learning_rate * (1 + noise)` stays.
        kind: `"own"` (N(0, C), as in ASGLD), `"none"`, or `"isotropic"`: the same
            standard deviation for every weight of the network, such that the total
            variance is that of `"own"`.
        size: What the noise's standard deviation is multiplied by.
        **others: ASGLD's arguments; `momentum` must be positive.
    """

    def __init__(self, mean=True, kind="own", size=1.0, **others):
        super().__init__(**others)
        if kind not in NOISES:
            raise ValueError(
                f"`kind` must be one of {', '.join(NOISES)}. Received: kind={kind}"
            )
        if self.momentum == 0:
            raise ValueError("`momentum` must be positive. Received: momentum=0")
        self.mean, self.kind, self.size = bool(mean), kind, float(size)

    rule = staticmethod(control)

    def numbers(self, learning_rate):
        parts = float(self.mean), self.size * (self.kind == "own")
        return *super().numbers(learning_rate), *parts

    def network_numbers(self, gradients, variables):
        if self.kind != "isotropic":
            return (0.0,)
        return (self.size * self._common_deviation(gradients, variables),)

    @staticmethod
    def terms(before, after, z, decay, learning_rate, momentum, noise, *parts):
        return ASGLD.terms(before, after, z, decay, learning_rate, momentum, noise)

    @staticmethod
    def effective_learning_rate(learning_rate, momentum, noise, *parts):
        return ASGLD.effective_learning_rate(learning_rate, momentum, noise)

    def _common_deviation(self, gradients, variables):
        """The root of this step's mean variance over all weights of the network."""
        total, count = 0.0, 0
        for gradient, variable in zip(gradients, variables, strict=True):
            mu, C = self.slots(variable)
            gradient = ops.cast(gradient, mu.dtype)
            # (1 - rho) / rho (g - mu_t)^2, from the mean before the step
            square = self.momentum * ops.square(gradient - mu)
            C = self.momentum * C + (1 - self.momentum) * square
            total += ops.sum(C)
            count += ops.size(C)
        return ops.sqrt(total / ops.cast(count, "float32"))

    def get_config(self):
        own = {"mean": self.mean, "kind": self.kind, "size": self.size}
        return super().get_config() | own


keras.saving.register_keras_serializable(package="keras_asgld_study")(Control)
