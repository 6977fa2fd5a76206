"""Coupled weight decay: L2 as part of the gradient, out of sight of the loss."""

import functools

from keras import ops

from keras_asgld.optimizers.langevin import LangevinOptimizer


def coupled(optimizer_class, weight_decay):
    """A subclass of `optimizer_class` that sees `gradient + weight_decay * variable`.

    This is what "weight decay" meant before AdamW (and still means in
    `torch.optim.SGD` and `torch.optim.Adam`): the gradient of
    `weight_decay / 2 * ||variables||²`, which passes through the optimizer's
    moments. Keras's own `weight_decay` argument is the decoupled kind.
    It is added after clipping, gradient accumulation and the sum over replicas,
    to every trainable variable, and never appears in the reported loss.

    Args:
        optimizer_class: A `keras.optimizers.Optimizer` class.
        weight_decay: The factor, >= 0.
    """

    if issubclass(optimizer_class, LangevinOptimizer):

        class Coupled(optimizer_class):
            rule = staticmethod(_with_decay(optimizer_class.rule, weight_decay))

    else:

        class Coupled(optimizer_class):
            def update_step(self, gradient, variable, learning_rate):
                gradient = ops.convert_to_tensor(gradient)  # sparse ones become dense
                decay = ops.cast(weight_decay * variable, gradient.dtype)
                super().update_step(gradient + decay, variable, learning_rate)

    Coupled.__name__ = Coupled.__qualname__ = f"Coupled{optimizer_class.__name__}"
    return Coupled


@functools.cache
def _with_decay(rule, weight_decay):
    # Cached, since a program is compiled for each rule.
    def coupled_rule(gradient, variable, *others):
        return rule(gradient + weight_decay * variable, variable, *others)

    return coupled_rule
