"""What every Langevin optimizer shares: seed, noise, exclusion, slots, one step."""

import inspect
import numbers
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_asgld import backend, noise
from keras_asgld.checks import check_seed
from keras_asgld.optimizers import chains, exclusion, keywords, seeding, step
from keras_asgld.optimizers.exclusion import Exclusion
from keras_asgld.optimizers.hyperparameter import Constant, Hyperparameter, check

KEYWORD_ARGS = """weight_decay: A float or `None`. Decoupled weight decay, done before
            the step: `variable -= learning_rate * weight_decay * variable`.
        clipnorm: A float or `None`. Clips the norm of each variable's gradient.
        clipvalue: A float or `None`. Clips each element of the gradients.
        global_clipnorm: A float or `None`. Clips the norm of all gradients together.
            At most one of the three clippings may be set.
        use_ema: A boolean. Whether to keep an exponential moving average of the
            weights and to end `fit` with it. Defaults to `False`.
        ema_momentum: A float in [0, 1]. The decay of that average. Defaults to `0.99`.
        ema_overwrite_frequency: An integer >= 1 or `None`. The weights are overwritten
            with their average every so many updates.
        loss_scale_factor: A float or `None`. The loss is multiplied and the gradients
            are divided by it. For a factor that adapts, wrap the optimizer in
            `keras.optimizers.LossScaleOptimizer`.
        gradient_accumulation_steps: An integer >= 2 or `None`. Makes one update from
            the mean gradient of so many steps. Schedules count steps, the noise counts
            updates.
        name: A string, the optimizer's name."""


class LangevinOptimizer(keras.optimizers.Optimizer):
    """Base class of optimizers that add Gaussian noise to their steps.

    A subclass declares

    - `slot_names`: the names of what it keeps for each variable, made as zeros;
    - `rule(gradient, variable, *slots, z, *numbers)`: a function of `rules`, which
      returns the new variable and slots, a tuple even of one (as a `staticmethod`); z
      is zero where a variable has no noise;
    - `numbers(learning_rate)`: what the rule takes besides tensors;

    and for `NoiseMonitor`

    - `terms(before, after, z, decay, *numbers)`: what a step was made of (as a
      `staticmethod`; see `terms.py`);
    - `effective_learning_rate(learning_rate, *numbers)`, where that is not the
      learning rate itself.
    """

    slot_names: tuple[str, ...] = ()
    rule: Callable[..., Any] | None = None
    terms: Callable[..., Any] | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__doc__:
            cls.__doc__ = cls.__doc__.replace("{{keyword_args}}", KEYWORD_ARGS)

    def __init__(self, learning_rate, seed=None, **kwargs):
        if self.rule is None:
            raise NotImplementedError(
                f"{type(self).__name__} must declare `rule`, a staticmethod"
            )
        check("learning_rate", learning_rate, schedules=True)
        if not callable(learning_rate):
            learning_rate = float(learning_rate)
        check_seed(seed)
        keywords.check(**kwargs)
        super().__init__(learning_rate=learning_rate, **kwargs)
        # The argument goes into the configuration; the seed in force is state. So
        # a reloaded optimizer goes on with its noise, and a fresh one made from a
        # configuration without a seed does not repeat it.
        self.seed = seed
        self._seed_in_force = seeding.seed_in_force(seed)
        self._excluded_from_noise = Exclusion()

    @property
    def learning_rate(self):
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, numbers.Real):  # Keras takes tensors and schedules too
            check("learning_rate", value)
        keras.optimizers.Optimizer.learning_rate.fset(self, value)

    def numbers(self, learning_rate):
        """What the rule takes besides tensors: a tuple of scalars."""
        return (learning_rate,)

    def network_numbers(self, gradients, variables):
        """More such scalars, made from all gradients together: their norm, for example.

        Called once a step, with the gradients that the rule will be given. Where
        `update_step` is called for each variable, on replicas or in a subclass that
        overrides it, this is too, with that variable's gradient alone.
        """
        return ()

    @staticmethod
    def effective_learning_rate(learning_rate, *numbers):
        """The learning rate with which SGD would move as far in the long run.

        Args:
            learning_rate, *numbers: What `numbers` returns.
        """
        return learning_rate

    def build(self, variables):
        if self.built:
            return
        for variable in variables:
            if not self._overwrite_variable_with_gradient(variable):
                step.check_dtype(variable)
        super().build(variables)
        self._stream = seeding.position_in_multi_optimizer(self)
        words = noise.noise_words(self._seed_in_force, len(variables), self._stream)
        self.noise_words = self.add_variable(
            shape=words.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(words, dtype),
            dtype="int32",
            aggregation="only_first_replica",
            name="noise_words",
        )
        keys = [self._var_key(variable) for variable in variables]
        excluded = self._excluded_from_noise.among(variables, keys)
        self._groups = {}
        self._slots = [
            None
            if self._overwrite_variable_with_gradient(variable)
            else [self._add_slot(variable, name) for name in self.slot_names]
            for variable in variables
        ]
        self.prior_precisions, means = self.prior_of(variables)
        self._prior_means = [
            [] if mean is None else [self._add_slot(variable, "prior_mean", mean)]
            for variable, mean in zip(variables, means, strict=True)
        ]
        self._kinds = [
            step.Kind(
                self.rule_of(variable, not quiet),
                variable.dtype,
                not quiet,
                bool(precision),
                bool(mean),
            )
            for variable, quiet, precision, mean in zip(
                variables,
                excluded,
                self.prior_precisions,
                self._prior_means,
                strict=True,
            )
        ]

    def prior_of(self, variables):
        """The Gaussian prior that is made part of the rule, in the loss's units.

        Args:
            variables: Those that the optimizer is built with.

        Returns:
            An array of the precision for each of them, 0 where there is no prior; and
            for each its mean, an array of its shape, or `None` for zero.
        """
        return np.zeros(len(variables)), [None] * len(variables)

    def rule_of(self, variable, noisy):
        """The rule for one variable, for subclasses that have more than one."""
        return self.rule

    def apply(self, grads, trainable_variables=None):
        """Updates variables by their gradients, as in every Keras optimizer.

        Args:
            grads: A list of gradients, or `None` for a variable to be left alone.
            trainable_variables: A list of as many variables; by default those that
                the optimizer was built with.

        Raises:
            ValueError: If a gradient does not have its variable's shape, or a variable
                is of a dtype that has no noise.
        """
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        elif self.built:
            trainable_variables = self._trainable_variables
        check_shapes(grads, trainable_variables or ())
        return super().apply(grads, trainable_variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """All variables at once, unless they have to be updated one by one.

        On replicas Keras does that. And a subclass that overrides `update_step` expects
        it to be called for each variable.
        """
        own = type(self).update_step is LangevinOptimizer.update_step
        if own and not backend.is_replicated():
            step.take(self, grads, trainable_variables, learning_rate)
        else:
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable and its slots by one step of the rule."""
        step.take(self, [gradient], [variable], learning_rate)

    def target(self, variable):
        """What a step needs to know of a variable, as a `step.Target`."""
        index = self._get_variable_index(variable)
        state = [variable, *self._slots[index], *self._prior_means[index]]
        return step.Target(self._kinds[index], index, state)

    def groups(self, variables):
        """How a step moves these variables: the groups of `step.grouped`."""
        if backend.is_replicated():  # each replica comes with a variable of its own
            return step.grouped([self.target(variable) for variable in variables])
        indices = tuple(self._get_variable_index(variable) for variable in variables)
        key = indices, backend.layout(variables)
        if key not in self._groups:
            targets = [self.target(variable) for variable in variables]
            self._groups[key] = step.grouped(targets)
        return self._groups[key]

    def slots(self, variable):
        """The slots of a variable that the optimizer was built with.

        Args:
            variable: A `keras.Variable`.

        Returns:
            A list of `keras.Variable`, in the order of `slot_names`; `None` for a
            variable that Keras overwrites with its gradient.
        """
        return self._slots[self._get_variable_index(variable)]

    def is_noisy(self, variable):
        """Whether noise is added to a variable that the optimizer was built with."""
        return self._kinds[self._get_variable_index(variable)].noisy

    def words_of(self, variable):
        """The two int32 words that set a variable's noise apart from all others'."""
        words = ops.convert_to_tensor(self.noise_words)
        return words[self._get_variable_index(variable)]

    def standard_normal(self, variable, update):
        """The draw z of the step at an update count, be it past or future.

        It is drawn even for a variable that is excluded from noise.

        Args:
            variable: A `keras.Variable` that the optimizer was built with.
            update: An integer scalar: the number of updates before that step.

        Returns:
            A float32 tensor of the variable's shape.
        """
        words = self.words_of(variable)
        update = ops.cast(update, self.iterations.dtype)
        key = noise.noise_key(words, update)
        return noise.normal(key, tuple(variable.shape))

    def stacked_variables(self, seeds):
        """The state of several chains for `jax.vmap`: see `chains`."""
        return chains.stacked_variables(self, seeds)

    def exclude_from_noise(self, var_list=None, var_names=None):
        """Excludes variables from the random part of the update.

        An excluded variable follows the same rule with z = 0: it keeps its running
        averages and its effective learning rate, and is moved deterministically.
        Must be called before the optimizer is built.

        What is excluded is part of the optimizer's configuration, and so of a saved
        model, its copies and clones: the patterns, and of variables their paths. A
        copy whose layers have other names warns of paths that it does not know.
        (Keras's `exclude_from_weight_decay` is not stored.)

        Args:
            var_list: A list of variables to exclude. Each call replaces the one before.
            var_names: A list of strings. A variable is excluded if any of them
                (as a regular expression) occurs in its path, which holds the names of
                its layers and ends with its own: `["backbone", "bias"]`. When the
                optimizer is built, a warning names each string that occurs in no
                path of a variable that is trainable then.

        Raises:
            ValueError: If the optimizer is already built, `var_list` is no list of
                variables, or `var_names` is no list of regular expressions.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_noise()` can only be called before the optimizer is "
                f"built. Received: an optimizer that is built, name={self.name!r}"
            )
        exclusion.check_variables(var_list)
        exclusion.check_patterns(var_names)
        self._excluded_from_noise = Exclusion(
            keys=tuple(self._var_key(variable) for variable in var_list or ()),
            paths=tuple(exclusion.path(variable) for variable in var_list or ()),
            patterns=tuple(var_names or ()),
        )

    def get_config(self):
        config = super().get_config()
        config["seed"] = self.seed
        for name, hyperparameter in _hyperparameters(type(self)):
            config[name] = hyperparameter.config(self)
        if any(self._excluded_from_noise):
            config["excluded_from_noise"] = self._excluded_from_noise.to_config()
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name, _ in _hyperparameters(cls):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        excluded = config.pop("excluded_from_noise", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if excluded:
            optimizer._excluded_from_noise = Exclusion.from_config(excluded)
        return optimizer

    def _apply_weight_decay(self, variables):
        # PyTorch's fused operation refuses an empty list, which is what is left
        # where every variable is excluded.
        decayed = [v for v in variables if self._use_weight_decay(v)]
        if decayed:
            super()._apply_weight_decay(decayed)

    def _add_slot(self, variable, name, value=None):
        initializer = "zeros"
        if value is not None:
            # A copy: JAX gives away the memory of the variable, PyTorch writes into it.
            initializer = lambda shape, dtype: ops.copy(ops.cast(value, dtype))  # noqa: E731
        with backend.colocated(self, variable):
            return self.add_variable(
                shape=variable.shape,
                initializer=initializer,
                dtype=step.slot_dtype(variable.dtype),
                layout=getattr(variable, "_layout", None),
                # TensorFlow refuses other characters, and variables that come from
                # a SavedModel have them in their names.
                name=re.sub(r"[^A-Za-z0-9_.\\-]", "_", exclusion.path(variable))
                + f"_{name}",
            )


def check_shapes(grads, variables):
    # Gradients are reshaped where small variables are packed and, on PyTorch, large
    # ones cut up: one of the wrong shape but the right size would go unnoticed.
    for gradient, variable in zip(grads, variables, strict=False):
        shape, expected = _known_shape(gradient), tuple(variable.shape)
        if shape is None:
            continue
        fits = len(shape) == len(expected) and all(
            size in (None, own) for size, own in zip(shape, expected, strict=True)
        )
        if not fits:
            raise ValueError(
                "`grads` must have the shapes of their variables, here that of "
                f"{exclusion.path(variable)!r}, {expected}. Received: shape={shape}"
            )


def _known_shape(gradient):
    try:
        return tuple(gradient.shape)
    except (AttributeError, ValueError):  # `None`, or TensorFlow's of unknown rank
        return None


def _hyperparameters(cls):
    kinds = Constant, Hyperparameter
    return inspect.getmembers(cls, lambda member: isinstance(member, kinds))
