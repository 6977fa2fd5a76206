"""BAOA, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number, PriorArgument
from keras_asgld.optimizers.hyperparameter import Constant
from keras_asgld.optimizers.sampler import LangevinSampler
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class BAOA(LangevinSampler):
    """Underdamped Langevin dynamics by the splitting BAOA.

    SGHMC whose push is spread over two steps, half in each. That alone takes the error
    of its step away: on a quadratic the variance is right however large the step.
    Use it in place of `SGHMC`, with the same arguments, where gradients are exact or
    batches large, and so the size of the step is the greatest error. Minibatch noise
    widens its distribution as it does SGHMC's; for that there is `SGNHT`.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    friction = 1 - momentum
    push     = sqrt(2 * friction * learning_rate * temperature) * z
    carried  = momentum_slot - learning_rate * gradient
    variable = variable + carried + push / 2
    momentum_slot = momentum * carried + (1 + momentum) / 2 * push
    ```

    So the step, `carried + push / 2`, is
    `momentum * last_step - learning_rate * gradient + (push + last_push) / 2`:
    `SGHMC`'s rule with the average of two pushes for one.

    The letters are of the paper: B, the kick by the gradient; A, half a drift; O, the
    exact friction and noise; A again. It costs one gradient and one draw, like `SGHMC`,
    and visits the same points as BAOAB: the variables are those at which the gradient
    is taken, and are a sample after any step. The momentum is half a kick behind. In
    the paper's words, of step h, friction γ and mass one, with a loss that is the mean
    over N examples:

    | here | there (`posteriors`: `lr` is h, `alpha` is γ, `sigma` is 1) |
    | --- | --- |
    | `momentum` | exp(-γ h) |
    | `learning_rate` | N h² (1 + exp(-γ h)) / 2 |
    | `temperature` | T / N |
    | the momentum slot | h p (1 + exp(-γ h)) / 2 |

    The factor (1 + momentum) / 2 is there so that the arguments mean what they mean in
    `SGHMC`: with `temperature=0` this too is
    `keras.optimizers.SGD(learning_rate, momentum)`, to rounding. And with `momentum=0`
    it is the method of Leimkuhler and Matthews for overdamped dynamics, `SGLD` with the
    average of two draws for one.

    On a quadratic of curvature a, with gradient noise of variance s² and ρ the
    momentum, the variance of the weights is exactly `(T + W / D) / a`, with
    `W = η * s**2 / (2 * (1 - ρ))` and `D = 1 - η * a / (2 * (1 + ρ))`, where that of
    `SGHMC` is `(T + W) / (a * D)`: where its step makes `SGHMC` 10 % too wide, at
    `η * a = 2 * (1 + ρ) / 11`, this is exact without minibatch noise. Both are stable
    below `η * a = 2 * (1 + ρ)`. On other losses the error of the step is of second
    order in h: of the loss x⁴ / 4 at T = 1, η = 0.1 and ρ = 0.9 the variance is 0.5 %
    too small, where `SGHMC`'s is 2.2 % too large. The effective learning rate, as
    SGD's, is η / (1 - ρ).
    docs/bias.md has a table of all samplers' bias by step and minibatch noise.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use.
        momentum: A float in [0, 1): the share of the momentum that stays
            after a step; 0.9 is common.
        temperature: T. A non-negative float, a `LearningRateSchedule` or a callable,
            like `learning_rate`. A float can be reassigned during training
            (`optimizer.temperature = 0.0`). With `examples` it is the posterior's and
            1 by default, less being "cold"; without, it is the loss's, and has no
            default, for none is right without the number of examples; see below.
        seed: A non-negative integer. The noise is a pure function of the seed, the
            variable, the update count and the element; the same on every backend and
            device. With `None` (the default) a seed is drawn that obeys
            `keras.utils.set_random_seed`. The noise in force is saved with the
            optimizer's variables, so that a reloaded optimizer goes on with it.
        {{keyword_args}}
        {{posterior_args}}

    {{posterior}}

    {{temperature}}

    Momentum and the arithmetic are float32 for half-precision variables,
    and of the variable's own dtype otherwise. A sparse gradient (an embedding's)
    counts as the dense one it stands for, and noise moves its
    untouched rows too.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import BAOA

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=BAOA(0.01, momentum=0.9, temperature=1 / 32), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Leimkuhler & Matthews, 2013](https://arxiv.org/abs/1203.5428), of which BAOA is
      the scheme BAOAB with the two halves of B in one, and where the average of two
      draws is found for strong friction.
    """

    slot_names = ("momentum",)
    rule = staticmethod(rules.baoa)
    momentum = Constant(below=1)

    def __init__(
        self,
        learning_rate: Number,
        momentum: Number,
        temperature: Number | None = None,
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

    def numbers(self, learning_rate):
        return learning_rate, self.momentum, self.loss_temperature

    @staticmethod
    def effective_learning_rate(learning_rate, momentum, temperature):
        return learning_rate / (1 - momentum)

    @staticmethod
    def terms(before, after, z, decay, learning_rate, momentum, temperature):
        (carried, old), (kept, new) = before, after
        push = ops.sqrt(2 * (1 - momentum) * learning_rate * temperature) * z
        # Before the step came the decoupled weight decay.
        moved = new - (old - learning_rate * decay * old)
        # In equilibrium the momentum has the variance (1 + ρ) η T / 2.
        kinetic = 2 * ops.square(kept) / ((1 + momentum) * learning_rate)
        return Terms(
            gradient=carried + push / 2 - moved,
            noise=push,
            temperature=ops.where(learning_rate > 0, kinetic, 0.0),
        )
