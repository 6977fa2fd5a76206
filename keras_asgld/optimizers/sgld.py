"""SGLD, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number, PriorArgument
from keras_asgld.optimizers.sampler import LangevinSampler
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class SGLD(LangevinSampler):
    """Stochastic gradient Langevin dynamics.

    SGD with Gaussian noise of one size for all weights, so large that the iterates
    sample a distribution about the minimum instead of settling in it. Use it to sample
    the posterior of a network's weights; take `PSGLD` where their gradients differ
    much in size, and `SGHMC` to move faster.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    step     = learning_rate * gradient
    variable = variable - step + sqrt(2 * learning_rate * temperature) * z
    ```

    Papers write the step in several ways. With N examples and a loss that is their
    mean, these are the arguments:

    | drift | noise | `learning_rate` | `temperature` |
    | --- | --- | --- | --- |
    | ε / 2 of the log-posterior's gradient | √ε z | N ε / 2 | 1 / N |
    | η g | √η z | η | 1 / 2 |
    | η g | √(2 η T) z | η | T |
    | η g | σ z | η | σ² / (2 η) |

    The first is equation 4 of Welling and Teh; SGD with isotropic noise, equation 6
    of the ASGLD paper (arXiv 1906.04324), is one of the others, by how its noise is
    scaled.

    With `temperature=0` it is `keras.optimizers.SGD` to the bit wherever both are
    compiled by XLA. Elsewhere XLA may spare this optimizer the rounding of
    `learning_rate * gradient`; where that product is exact, as for a learning rate
    that is a power of two, they are equal there too.

    A step that is not small widens the distribution, and so does minibatch noise. On
    a quadratic of curvature a, with gradient noise of variance s², the variance of
    the weights is exactly `(T + η * s**2 / 2) / (a * (1 - η * a / 2))`, in place of
    T / a; successive iterates correlate by `1 - η * a`.
    docs/bias.md has a table of all samplers' bias by step and minibatch noise.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use.
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

    Noise and the arithmetic are float32 for half-precision variables,
    and of the variable's own dtype otherwise. A sparse gradient (an embedding's)
    counts as the dense one it stands for, and noise moves its
    untouched rows too.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import SGLD

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=SGLD(0.05, temperature=1 / 32), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Welling & Teh, 2011](https://www.stats.ox.ac.uk/~teh/research/compstats/WelTeh2011a.pdf),
      equation 4.
    """

    rule = staticmethod(rules.sgld)

    def __init__(
        self,
        learning_rate: Number,
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

    def numbers(self, learning_rate):
        return learning_rate, self.loss_temperature

    @staticmethod
    def terms(before, after, z, decay, learning_rate, temperature):
        [old], [new] = before, after
        noise = ops.sqrt(2 * learning_rate * temperature) * z
        # Before the step came the decoupled weight decay.
        gradient = old - learning_rate * decay * old + noise - new
        return Terms(gradient, noise, temperature * ops.ones_like(z))
