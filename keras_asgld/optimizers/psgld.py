"""PSGLD, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number, PriorArgument
from keras_asgld.optimizers.hyperparameter import Constant
from keras_asgld.optimizers.sampler import LangevinSampler
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class PSGLD(LangevinSampler):
    """Preconditioned SGLD: Langevin dynamics with RMSprop's step sizes.

    Each weight's step and noise are scaled by the running size of its gradient, so
    that weights with small and with large gradients move equally fast. Use it to
    sample where SGLD's one learning rate is too large for some weights and too small
    for others. Keep `1 - rho` well below the share of its way that a weight moves in a
    step; the default is for shares of 0.002 and more.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    velocity = rho * velocity + (1 - rho) * gradient**2
    G        = 1 / (epsilon + sqrt(velocity / (1 - rho**t)))
    step     = learning_rate * G * gradient
    bound    = learning_rate * sqrt((1 - rho**t) / (1 - rho)) / rho**t
    noise    = minimum(sqrt(2 * learning_rate * temperature * G), bound) * z
    variable = variable - step + noise
    ```

    with t the number of the update, from 1.

    That is Algorithm 1 of the paper, whose symbols are α (`rho`), λ (`epsilon`), V
    (`velocity`, which starts at zero) and ε, its step in units of the log-posterior
    of all N examples: `learning_rate = N * ε / 2` with `temperature = 1 / N`.

    Two things keep the first steps safe, at any temperature and from the first step
    on; neither is the paper's, and both lapse after some multiples of `1 / (1 - rho)`
    updates, so that the distribution that is sampled stays the same. `velocity`, which
    starts at zero, is divided by what its weights sum to: a first step has the length
    of the learning rate. And while `velocity` is young a small gradient makes G
    enormous. That is harmless to the step, which cannot exceed
    `learning_rate * sqrt((1 - rho**t) / (1 - rho))`, but would let the noise throw
    the weights far off: it is kept below that length over `rho**t`. Both have no scale
    of the loss in them. t is `iterations + 1`.

    With `temperature=0` it is `keras.optimizers.Adam(learning_rate, beta_1=0,
    beta_2=rho)`, which is RMSprop with bias correction. With both epsilons negligible
    they agree to rounding.

    The term Γ, the derivative of G by the weights, is left out, as in the paper's
    experiments: it takes second derivatives of the loss, and vanishes as `rho`
    approaches one. What that costs on a quadratic of curvature a, with gradient noise
    of variance s²: let h = η G a be the part of its way that a weight moves in a
    step. The variance T / a comes out too large by a share of about
    `r * (1 - rho) / (1 - rho + 2 * h)`, r = a T / (a T + s²) being the part of V that
    follows the weight. So keep `1 - rho` well below h or let minibatch noise rule. At
    worst, `rho=0` without minibatch noise, the weights sample exp(-loss / T) / G.
    Steps that are not small and minibatch noise widen the distribution as they do that
    of `SGLD`, with η G for the learning rate.
    docs/bias.md has a table of all samplers' bias by step and minibatch noise.

    While a gradient is zero, as of a dead unit or an embedding's row that no batch
    holds, G grows to 1 / epsilon and so do its weights' random steps: raise `epsilon`
    or `exclude_from_noise` such variables.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use.
        temperature: T. A non-negative float, a `LearningRateSchedule` or a callable,
            like `learning_rate`. A float can be reassigned during training
            (`optimizer.temperature = 0.0`). With `examples` it is the posterior's and
            1 by default, less being "cold"; without, it is the loss's, and has no
            default, for none is right without the number of examples; see below.
        rho: α. A float in [0, 1): the decay of the running squared gradient. Defaults
            to `0.9999`. The paper's 0.99 makes a Gaussian 31 % too wide at h = 0.01
            without minibatch noise, 0.999 by 5 %, the default by less than 1 %.
        epsilon: λ. A non-negative float that bounds G, in the units of a gradient.
            Defaults to `1e-5`, the paper's. With 0, a weight whose gradients have all
            been zero becomes NaN.
        seed: A non-negative integer. The noise is a pure function of the seed, the
            variable, the update count and the element; the same on every backend and
            device. With `None` (the default) a seed is drawn that obeys
            `keras.utils.set_random_seed`. The noise in force is saved with the
            optimizer's variables, so that a reloaded optimizer goes on with it.
        {{keyword_args}}
        {{posterior_args}}

    {{posterior}}

    {{temperature}}

    `velocity` and the arithmetic are float32 for half-precision variables,
    and of the variable's own dtype otherwise. A sparse gradient (an embedding's)
    counts as the dense one it stands for.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import PSGLD

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=PSGLD(0.01, temperature=1 / 32), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Li et al., 2016](https://arxiv.org/abs/1512.07666), Algorithm 1.
    """

    slot_names = ("velocity",)
    rule = staticmethod(rules.psgld)
    rho = Constant(below=1)
    epsilon = Constant()

    def __init__(
        self,
        learning_rate: Number,
        temperature: Number | None = None,
        rho: Number = 0.9999,
        epsilon: Number = 1e-5,
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
        self.rho = rho
        self.epsilon = epsilon

    def numbers(self, learning_rate):
        t = ops.cast(self.iterations, "float32") + 1
        return learning_rate, self.loss_temperature, self.rho, self.epsilon, t

    @staticmethod
    def terms(before, after, z, decay, learning_rate, temperature, rho, epsilon, t):
        (old_velocity, _), (velocity, _) = before, after
        square = ops.maximum(velocity - rho * old_velocity, 0.0) / (1 - rho)
        G, noise = rules.psgld_scales(
            velocity, learning_rate, temperature, rho, epsilon, t
        )
        return Terms(
            gradient=learning_rate * G * ops.sqrt(square),
            noise=noise * z,
            temperature=temperature * ops.ones_like(z),
        )
