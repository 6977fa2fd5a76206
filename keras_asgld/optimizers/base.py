"""What every Langevin optimizer shares: seed, noise, exclusion, slots, compilation."""

import contextlib
import inspect
import numbers
import random
import re

import keras
import numpy as np
from keras import ops

from keras_asgld import noise
from keras_asgld.optimizers import exclusion
from keras_asgld.optimizers.compiled import compiled, compiled_update, shape_of
from keras_asgld.optimizers.hyperparameter import Hyperparameter, check_scalar
from keras_asgld.optimizers.keys import Keys
from keras_asgld.optimizers.packing import Packed, Piece, choose, pieces

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

    A subclass names its slots in `slot_names` and, in `update_step`, hands its rule
    to `noisy_update`.
    """

    slot_names = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__doc__:
            cls.__doc__ = cls.__doc__.replace("{{keyword_args}}", KEYWORD_ARGS)

    def __init__(self, learning_rate, seed=None, **kwargs):
        check_scalar("learning_rate", learning_rate, schedules=True)
        if not callable(learning_rate):
            learning_rate = float(learning_rate)
        check_seed(seed)
        super().__init__(learning_rate=learning_rate, **kwargs)
        # The argument goes into the configuration; the seed in force is state. So
        # a reloaded optimizer goes on with its noise, and a fresh one made from a
        # configuration without a seed does not repeat it.
        self.seed = seed
        self._seed_in_force = random.getrandbits(63) if seed is None else int(seed)
        self._excluded_from_noise = (), ()
        self._keys = None

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        stream = _position_in_multi_optimizer(self)
        words = noise.noise_words(self._seed_in_force, len(variables), stream)
        self._noise_words = self.add_variable(
            shape=words.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(words, dtype),
            dtype="int32",
            aggregation="only_first_replica",
            name="noise_words",
        )
        self._is_noisy = [self._uses_noise(variable) for variable in variables]
        exclusion.warn_of_idle(self._excluded_from_noise[1], variables)
        self._slots = [
            None
            if self._overwrite_variable_with_gradient(variable)
            else [self._add_slot(variable, name) for name in self.slot_names]
            for variable in variables
        ]

    def apply(self, grads, trainable_variables=None):
        """Updates variables by their gradients, as in every Keras optimizer.

        Args:
            grads: A list of gradients, or `None` for a variable to be left alone.
            trainable_variables: A list of as many variables; by default those that
                the optimizer was built with.

        Raises:
            ValueError: If a gradient has not its variable's shape.
        """
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        elif self.built:
            trainable_variables = self._trainable_variables
        check_shapes(grads, trainable_variables or ())
        return super().apply(grads, trainable_variables)

    def noisy_update(self, rule, gradient, variable, *hyperparameters):
        """Moves `variable` and its slots by one step of `rule`.

        `rule(gradient, variable, *slots, z, *hyperparameters)` returns the new
        variable and the new slots; z is standard normal noise, or zero for a
        variable that is excluded from noise.
        """
        packed = isinstance(variable, Packed | Piece)
        members = variable.members if packed else [variable]
        indices = [self._get_variable_index(member) for member in members]
        targets = [[v, *self._slots[i]] for v, i in zip(members, indices, strict=True)]
        dtype = _slot_dtype(variable.dtype)
        noisy = self._is_noisy[indices[0]]
        keys = self._keys or self._keys_of(indices)
        # Not `cast`, which would make a Python number float32 on its way.
        hyperparameters = tuple(
            ops.convert_to_tensor(x, dtype) for x in hyperparameters
        )
        if packed:
            program = compiled(_update_packed, rule, dtype, noisy)
            state = [variable.pack(tensors) for tensors in zip(*targets, strict=True)]
            key = keys.of_all(np.take(indices, variable.rows))
            starts = ops.convert_to_tensor(variable.starts)
            update = ops.cast(self.iterations, "int32")
            new = program(state, gradient, key, starts, update, hyperparameters)
            variable.assign(targets, new, update, self.assign)
        else:
            program = compiled_update(_update, rule, dtype, noisy)
            gradient = ops.convert_to_tensor(gradient, sparse=False)
            program(targets[0], gradient, keys.of(indices[0]), hyperparameters)

    def _keys_of(self, alone):
        words = ops.convert_to_tensor(self._noise_words)
        return Keys(words, ops.cast(self.iterations, "int32"), alone)

    def _backend_update_step(self, gradients, variables, learning_rate):
        indices = [self._get_variable_index(variable) for variable in variables]
        noisy = [self._is_noisy[index] for index in indices]
        kinds = [(v.dtype, each) for v, each in zip(variables, noisy, strict=True)]
        parts = []
        alone = set(range(len(variables)))
        for together in choose([v.shape for v in variables], kinds):
            packed = Packed([variables[i] for i in together])
            parts.append((packed, [gradients[i] for i in together]))
            alone -= set(together)
        for position in list(alone):
            for piece in pieces(variables[position]):
                parts.append((piece, [gradients[position]]))
                alone.discard(position)
        alone = sorted(alone)
        self._keys = self._keys_of([indices[i] for i in alone])
        try:
            for part, tensors in parts:
                self.update_step(part.pack(tensors), part, learning_rate)
            if alone:
                gradients, variables = (
                    [each[i] for i in alone] for each in (gradients, variables)
                )
                super()._backend_update_step(gradients, variables, learning_rate)
        finally:
            self._keys = None

    def exclude_from_noise(self, var_list=None, var_names=None):
        """Excludes variables from the random part of the update.

        An excluded variable follows the same rule with z = 0: it keeps its running
        averages and its effective learning rate, and is moved deterministically.
        Must be called before the optimizer is built.

        As with Keras's `exclude_from_weight_decay`, what is excluded is not stored with
        a model: `load_model` gives an optimizer that adds noise to all. To go on with
        an exclusion, make and compile the model anew, call
        `model.optimizer.build(model.trainable_variables)` (without it Keras leaves the
        optimizer's state in the file) and `load_weights` the file.

        Args:
            var_list: A list of variables to exclude. Each call replaces the one before.
            var_names: A list of strings. A variable is excluded if any of them
                (as a regular expression) occurs in its path, which holds the names of
                its layers and ends with its own: `["backbone", "bias"]`. A string
                that occurs in none is warned of when the optimizer is built, with
                the variables that are trainable then.

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
        keys = [self._var_key(variable) for variable in var_list or []]
        self._excluded_from_noise = keys, list(var_names or ())

    def get_config(self):
        config = super().get_config()
        config["seed"] = self.seed
        for name, hyperparameter in _hyperparameters(type(self)):
            config[name] = hyperparameter.config(self)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name, _ in _hyperparameters(cls):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return super().from_config(config, custom_objects=custom_objects)

    def _apply_weight_decay(self, variables):
        # PyTorch's fused operation refuses an empty list, which is what is left
        # where every variable is excluded.
        decayed = [v for v in variables if self._use_weight_decay(v)]
        if decayed:
            super()._apply_weight_decay(decayed)

    def _uses_noise(self, variable):
        keys, patterns = self._excluded_from_noise
        excluded = self._var_key(variable) in keys or any(
            exclusion.matches(pattern, variable) for pattern in patterns
        )
        return not excluded

    def _add_slot(self, variable, name):
        value = variable.value if isinstance(variable, keras.Variable) else variable
        colocated = contextlib.nullcontext()
        if keras.backend.backend() == "tensorflow":
            extended = self._distribution_strategy.extended
            colocated = extended.colocate_vars_with(value)
        with colocated:
            return self.add_variable(
                shape=variable.shape,
                dtype=_slot_dtype(variable.dtype),
                layout=getattr(variable, "_layout", None),
                # TensorFlow refuses other characters, which names of variables
                # that come from a SavedModel have.
                name=re.sub(r"[^A-Za-z0-9_.\\-]", "_", exclusion.path(variable))
                + f"_{name}",
            )


def _update(rule, dtype, noisy, state, gradient, key, hyperparameters):
    """The pure function that is compiled: new values of the variable and slots."""
    shape = shape_of(state[0])
    z = noise.normal(ops.unstack(key), shape) if noisy else ops.zeros(shape)
    return _apply(rule, dtype, state, gradient, z, hyperparameters)


def _update_packed(
    rule, dtype, noisy, state, gradient, key, starts, update, hyperparameters
):
    """The same for variables that are packed into one matrix."""

    def new_state():
        z = ops.zeros(gradient.shape)
        if noisy:
            z = noise.normal_rows(key, starts, gradient.shape[1])
        return _apply(rule, dtype, state, gradient, z, hyperparameters)

    # XLA would compile noise and rule again for every variable that is unpacked from a
    # step that it compiles as a whole. The condition is always true, but XLA cannot
    # know. PyTorch's compiler, if any, would compile again for each `Cond` that Keras
    # makes.
    if keras.backend.backend() == "torch":
        return new_state()
    return ops.cond(ops.bitwise_or(update, 1) != 0, new_state, lambda: state)


def _apply(rule, dtype, state, gradient, z, hyperparameters):
    variable, *slots = state
    new_variable, *new_slots = rule(
        ops.cast(gradient, dtype),
        ops.cast(variable, dtype),
        *slots,
        ops.cast(z, dtype),
        *hyperparameters,
    )
    return [ops.cast(new_variable, variable.dtype), *new_slots]


def check_shapes(grads, variables):
    # Small variables are packed and, on PyTorch, large ones cut up, for which their
    # gradients are reshaped: a wrong one with the right size would go unnoticed.
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


def check_seed(seed):
    if seed is None:
        return
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(
            "`seed` must be a non-negative integer or None. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})"
        )


def _hyperparameters(cls):
    return inspect.getmembers(cls, lambda member: isinstance(member, Hyperparameter))


def _slot_dtype(dtype):
    dtype = keras.backend.standardize_dtype(dtype)
    return dtype if dtype == "float64" else "float32"


def _position_in_multi_optimizer(optimizer):
    """Which member of a `keras.optimizers.MultiOptimizer` is being built, or 0.

    Members that were given one seed must not share noise, and both number their
    variables from zero. Keras does not tell them that they are members, so this
    looks for the caller.
    """
    frame = inspect.currentframe().f_back
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, getattr(keras.optimizers, "MultiOptimizer", ())):
            return owner.optimizers.index(optimizer)
        frame = frame.f_back
    return 0
