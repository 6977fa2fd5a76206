"""Where each chain begins: seeds, weights, and the state of the optimizer."""

import hashlib

import keras

from keras_asgld.callbacks.steps import inner_optimizer
from keras_asgld.optimizers.langevin import LangevinOptimizer


def check(model):
    """Raises `ValueError` unless several chains can begin with this model."""
    if not isinstance(model, keras.Model) or not getattr(model, "optimizer", None):
        raise ValueError(
            f"`model` must be a compiled Keras model. Received: model={model!r}"
        )
    if (
        not isinstance(model, keras.Sequential)
        and getattr(model, "inputs", None) is None
    ):
        raise ValueError(
            "`model` must be sequential or functional, so that it can be made anew. "
            f"Received: model={model!r}"
        )
    if not model.built:
        raise ValueError(
            "`model` must be built: give it a `keras.Input`, or call it once. "
            f"Received: model={model!r}"
        )
    optimizer = model.optimizer
    steps = int(keras.ops.convert_to_numpy(optimizer.iterations))
    if steps:
        raise ValueError(
            "`model` must have an optimizer that has made no step: compile it anew. "
            f"Received: optimizer={optimizer.name!r} after {steps} steps"
        )


class Beginning:
    """What a model and its optimizer are before the first chain.

    Each chain takes the same model, so that its training step is compiled once.

    Args:
        model: A model that `check` accepts.
    """

    def __init__(self, model):
        self.model = model
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *model.optimizer.variables]
        self._values = [keras.ops.convert_to_numpy(v) for v in self._variables]

    def restore(self):
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)

    def begin(self, seed, new_weights):
        """Makes the model and its optimizer those of the chain of this seed.

        They become what they are where a program calls
        `keras.utils.set_random_seed(seed)`, makes the model, compiles it with an
        optimizer of this seed, and sets the random seed once more before `fit`.

        Args:
            seed: An integer.
            new_weights: Whether weights are drawn anew, or are the model's own.
        """
        self.restore()
        keras.utils.set_random_seed(seed)
        fresh = _anew(self.model)
        own = {id(weight) for weight in self.model.weights}
        for variable, value in zip(self.model.variables, fresh.variables, strict=True):
            if new_weights or id(variable) not in own:  # dropout has a seed, too
                variable.assign(value)
        for optimizer in _langevin_optimizers(self.model.optimizer):
            [*state] = optimizer.stacked_variables([seed])
            for variable, value in zip(optimizer.variables, state, strict=True):
                variable.assign(value[0])
        keras.utils.set_random_seed(seed)

    def digest(self):
        """What tells the model's own weights from others."""
        found = hashlib.sha256()
        for weight in self.model.get_weights():
            found.update(weight.tobytes())
        return found.hexdigest()


def _langevin_optimizers(optimizer):
    optimizer = inner_optimizer(optimizer)
    several = getattr(optimizer, "optimizers", [optimizer])
    return [each for each in several if isinstance(each, LangevinOptimizer)]


def _anew(model):
    """The model with weights of its own, not compiled.

    Keras compiles the clone of a sequential model from a configuration, which a loss
    that is a function of the user's does not have.
    """
    compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model, clone_function=_without_seeds)
    finally:
        model.compiled = compiled


def _without_seeds(layer):
    """The layer anew; a seed of its own would give all chains the same weights."""
    return type(layer).from_config(_unseeded(layer.get_config()))


def _unseeded(config):
    if isinstance(config, dict):
        return {
            key: None if key == "seed" else _unseeded(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(map(_unseeded, config))
    return config
