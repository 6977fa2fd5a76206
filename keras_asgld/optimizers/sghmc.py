"""SGHMC, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number, PriorArgument
from keras_asgld.optimizers.hyperparameter import Constant
from keras_asgld.optimizers.sampler import LangevinSampler
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class SGHMC(LangevinSampler):
    """Stochastic gradient Hamiltonian Monte Carlo.

    SGD with momentum, whose friction is answered by noise: each step the momentum
    loses a share `1 - momentum` and receives a random push, so that the iterates sample
    a distribution about the minimum. It goes farther than SGLD in as many steps. Use it
    to sample the posterior of a network's weights.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    friction = 1 - momentum
    push     = sqrt(2 * friction * learning_rate * temperature) * z
    momentum = momentum * momentum_slot - learning_rate * gradient + push
    variable = variable + momentum
    ```

    That is equation 15 of the paper with its noise estimate β̂ = 0, where α is the
    friction and η, in units of the log-posterior of all N examples, is
    `learning_rate / N` with `temperature = 1 / N`. Its Hamiltonian form (equation 13)
    of step ε, mass M and friction C is reached by `learning_rate = N * ε**2 / M`,
    `momentum = 1 - ε * C / M`. Equation 7 of the ASGLD paper
    (arXiv 1906.04324), a friction and noise of some standard deviation σ in the
    momentum, is `momentum = 1 - friction` and
    `temperature = σ**2 / (2 * friction * learning_rate)`. A momentum of 0 is `SGLD`.

    With `temperature=0` it is `keras.optimizers.SGD(learning_rate, momentum)` to the
    bit wherever both are compiled by XLA. Elsewhere XLA may spare this optimizer
    the rounding of a product; where the products are exact, as for a learning rate and
    a momentum that are powers of two, they are equal there too.

    A step that is not small widens the distribution, and so does minibatch noise,
    the more the less friction there is. On a quadratic of curvature a, with gradient
    noise of variance s² and ρ the momentum, the variance of the weights is exactly
    `(T + η * s**2 / (2 * (1 - ρ))) / (a * (1 - η * a / (2 * (1 + ρ))))`, in place
    of T / a. Its effective learning rate, as SGD's, is η / (1 - ρ).
    docs/bias.md has a table of all samplers' bias by step and minibatch noise.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use.
        momentum: 1 - friction. A float in [0, 1): the share of the momentum that stays
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
    from keras_asgld import SGHMC

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=SGHMC(0.01, momentum=0.9, temperature=1 / 32), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Chen et al., 2014](https://arxiv.org/abs/1402.4102), equation 15.
    """

    slot_names = ("momentum",)
    rule = staticmethod(rules.sghmc)
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
        (old, _), (new, _) = before, after
        noise = ops.sqrt(2 * (1 - momentum) * learning_rate * temperature) * z
        # A free particle's momentum has the variance 2 η T / (1 + ρ).
        kinetic = (1 + momentum) * ops.square(new) / (2 * learning_rate)
        return Terms(
            gradient=momentum * old + noise - new,
            noise=noise,
            temperature=ops.where(learning_rate > 0, kinetic, 0.0),
        )
