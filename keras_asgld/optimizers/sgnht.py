"""SGNHT, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number, PriorArgument
from keras_asgld.optimizers.hyperparameter import Constant
from keras_asgld.optimizers.sampler import LangevinSampler
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class SGNHT(LangevinSampler):
    """Stochastic gradient Nosé-Hoover thermostats, one for each weight.

    SGHMC that finds its own friction: minibatch noise heats the weights, by how much
    nobody knows, and each weight's thermostat adds friction until it moves as fast as
    it should at the temperature. Use it where `SGHMC` samples too wide a distribution
    because the gradients are noisy.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    kept     = momentum - xi
    push     = sqrt(2 * (1 - momentum) * learning_rate * temperature) * z
    momentum_slot = kept * momentum_slot - learning_rate * gradient + push
    variable = variable + momentum_slot
    heat     = (1 + kept) / 2 * momentum_slot**2 / (learning_rate * temperature)
    xi       = minimum(xi + coupling * (heat - 1), momentum)
    ```

    `xi`, which starts at zero, is the friction found necessary beyond `1 - momentum`:
    with gradient noise of variance s² it comes to about `η * s**2 / (2 * T)`, and
    tells how large that noise is. While it is zero this is `SGHMC`, and with
    `coupling=0` it stays so.

    That is the SGNHT of Ding et al., with one thermostat for each element as in Gan
    et al. Their ξ, in steps of h and for N examples, is `(1 - momentum + xi) / h`,
    their A is `(1 - momentum) / h`, and `learning_rate = N * h**2`,
    `temperature = 1 / N`; their thermostats of unit mass have
    `coupling = learning_rate * temperature`. It departs from the papers in three ways:

    - The coupling is a number of its own. Theirs is h², which for thousands of
      examples is so small that a chain ends before it has found the friction.
    - `(1 + kept) / 2` is not in the papers. It is what the step makes of the
      kinetic energy at a friction that is not small. Without it the weights are
      too narrow by half the friction: by 5 % at 0.1, without any minibatch noise.
    - The friction is at most one, so that a start far from equilibrium, where the heat
      is large, turns no momentum about; the thermostat recovers in `1 / coupling`
      steps.

    On a quadratic of curvature a the variance of the weights is T / a, exactly so in
    the limit of a small coupling and whatever the step or the noise, and within half a
    percent at the default. There is a limit to what friction can take up: `xi` near
    `momentum` says that `learning_rate` is too large for the minibatch noise,
    `η * s**2 / (2 * T)` has to stay well below one. On a quadratic, with a friction of
    0.1:

    | η a | s² / (a T) | variance · a / T, `SGHMC` | the same, here | mean `xi` |
    | ---: | ---: | ---: | ---: | ---: |
    | 0.01 | 0 | 1.003 | 0.997 | -0.001 |
    | 0.01 | 10 | 1.504 | 0.996 | 0.050 |
    | 0.01 | 40 | 3.008 | 0.997 | 0.201 |
    | 0.05 | 10 | 3.547 | 0.998 | 0.255 |

    docs/bias.md has a table of all samplers' bias by step and minibatch noise.

    A variable that is excluded from noise has no thermostat, which would heat it by its
    own motion.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use.
        momentum: 1 - friction before the thermostat adds its own. A float in [0, 1);
            0.9 is common.
        temperature: T. A non-negative float, a `LearningRateSchedule` or a callable,
            like `learning_rate`. A float can be reassigned during training
            (`optimizer.temperature = 0.0`). With `examples` it is the posterior's and
            1 by default, less being "cold"; without, it is the loss's, and has no
            default, for none is right without the number of examples; see below.
        coupling: How fast the thermostats answer, by how much the friction grows in a
            step of twice the kinetic energy that there should be. A non-negative float.
            `xi` fluctuates by its square root: keep that below the friction, and the
            coupling at a tenth of the friction's square or less, for larger ones
            bias the variance (by 1 % at 0.01). Defaults to `0.001`.
        seed: A non-negative integer. The noise is a pure function of the seed, the
            variable, the update count and the element; the same on every backend and
            device. With `None` (the default) a seed is drawn that obeys
            `keras.utils.set_random_seed`. The noise in force is saved with the
            optimizer's variables, so that a reloaded optimizer goes on with it.
        {{keyword_args}}
        {{posterior_args}}

    {{posterior}}

    {{temperature}}

    Momentum, `xi` and the arithmetic are float32 for half-precision variables,
    and of the variable's own dtype otherwise. A sparse gradient (an embedding's)
    counts as the dense one it stands for, and noise moves its
    untouched rows too.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import SGNHT

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=SGNHT(0.01, momentum=0.9, temperature=1 / 32), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - Ding et al., Bayesian Sampling Using Stochastic Gradient Thermostats, NeurIPS
      2014.
    - [Gan et al., 2015](https://proceedings.mlr.press/v37/gan15.html), for a thermostat
      in each element.
    """

    slot_names = ("momentum", "xi")
    rule = staticmethod(rules.sgnht)
    momentum = Constant(below=1)
    coupling = Constant()

    def __init__(
        self,
        learning_rate: Number,
        momentum: Number,
        temperature: Number | None = None,
        coupling: Number = 0.001,
        seed: int | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        examples: int | None = None,
        prior: PriorArgument = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            temperature=temperature,
            examples=examples,
            prior=prior,
            seed=seed,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.momentum = momentum
        self.coupling = coupling

    def numbers(self, learning_rate):
        return learning_rate, self.momentum, self.loss_temperature, self.coupling

    def rule_of(self, variable, noisy):
        return self.rule if noisy else rules.sgnht_without_thermostat

    @staticmethod
    def effective_learning_rate(learning_rate, momentum, temperature, coupling):
        return learning_rate / (1 - momentum)

    @staticmethod
    def terms(before, after, z, decay, learning_rate, momentum, temperature, coupling):
        (old, xi, _), (new, _, _) = before, after
        kept = momentum - xi
        noise = ops.sqrt(2 * (1 - momentum) * learning_rate * temperature) * z
        # What the thermostat compares with the temperature.
        kinetic = (1 + kept) * ops.square(new) / (2 * learning_rate)
        return Terms(
            gradient=kept * old + noise - new,
            noise=noise,
            temperature=ops.where(learning_rate > 0, kinetic, 0.0),
        )
