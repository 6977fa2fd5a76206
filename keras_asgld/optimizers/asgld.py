"""ASGLD, one class; reads like the files of `keras.optimizers`."""

from typing import Any

import keras
from keras import ops

from keras_asgld import rules
from keras_asgld.optimizers.annotations import Number
from keras_asgld.optimizers.hyperparameter import Constant, Hyperparameter
from keras_asgld.optimizers.langevin import LangevinOptimizer
from keras_asgld.optimizers.terms import Terms


@keras.saving.register_keras_serializable(package="keras_asgld")
class ASGLD(LangevinOptimizer):
    """Adaptively preconditioned stochastic gradient Langevin dynamics.

    SGD whose every step is joined by Gaussian noise that looks like the gradient
    itself: for each weight the optimizer keeps a running mean and variance of the
    gradient and draws the noise from N(mean, variance). The mean acts as momentum,
    the variance makes the noise large where minibatches disagree and small where
    they agree. Use it where you would use SGD with momentum.

    As in SGD the gradient's scale is in the step. With targets in raw units (prices,
    counts) it diverges at rates that suit standardised ones: standardise them, or set
    `global_clipnorm=1.0`, or take `ScaleFreeASGLD`, to which one also comes from Adam.

    The update rule, element-wise, with `z` a standard normal draw:

    ```
    mu       = momentum * mu + (1 - momentum) * gradient
    C        = momentum * C + (1 - momentum) * (gradient - mu) * (gradient - old_mu)
    xi       = mu + sqrt(C) * z
    variable = variable - learning_rate * (gradient + noise * xi)
    ```

    That is Algorithm 1 of the paper, whose symbols are: step size η
    (`learning_rate`), ρ (`momentum`), ψ (`noise`), µ, C and ξ. `mu` and `C` start at
    zero and are not bias-corrected.

    Setting the three numbers:

    - The effective step is `learning_rate * (1 + noise)`, for `noise` weighs the
      momentum term too. When you change `noise`, change `learning_rate` against it.
      Compare with SGD of that learning rate, or with Keras's momentum SGD of
      `learning_rate * (1 + noise) * (1 - momentum)`.
    - `ASGLD(r, momentum=m, noise=m / (1 - m))` is Keras's
      `SGD(r, momentum=m, nesterov=True)` plus the noise, step by step. But the noise
      shortens the longest stable step: on a loss of curvature h the effective step
      has to stay below 2.1/h with `noise=1`, 1.2/h with 3 and 0.8/h with 9, where
      Nesterov's own bears 13.6/h (docs/study.md). From a tuned momentum SGD, begin
      with `noise=1`, or with a third of that rate.
    - `noise=0` is SGD, up to a rounding. With `noise` of one to ten the method is
      itself; at 0.01, which the paper's published code recommends, it can hardly be
      told from SGD.
    - The defaults suit pictures and networks with batch normalisation. No numbers
      suit all tasks, since the gradient's scale is in the step: on twelve small tasks
      of many kinds (docs/study.md) these seldom come within a point of the best tuned
      optimizer. So tune `learning_rate`: regression wants a third or a tenth of it,
      text far more. `ScaleFreeASGLD` is the one to take untuned.
    - The injected noise, of standard deviation `learning_rate * noise * sqrt(C)` a
      step, vanishes as the learning rate falls: a decaying schedule anneals it.

    ASGLD is an optimizer and no posterior sampler. Its noise scales with the learning
    rate, not with its square root, so there is no temperature at which its
    iterates sample a fixed distribution.

    Args:
        learning_rate: η. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use. Defaults to `0.1`.
        momentum: ρ. A float in [0, 1): the decay of the gradient's running mean and
            variance. Defaults to `0.9`.
        noise: ψ, the noise scale. A non-negative float, a `LearningRateSchedule` or a
            callable, like `learning_rate`. A float can be reassigned during training
            (`optimizer.noise = 0.5`). A schedule, or a callable that returns a tensor,
            must itself keep to the range: its values are not checked, as Keras does
            not check those of a learning rate. Defaults to `1.0`.
        seed: A non-negative integer. The noise is a pure function of the seed, the
            variable, the update count and the element; the same on every backend and
            device. With `None` (the default) a seed is drawn that obeys
            `keras.utils.set_random_seed`. The noise in force is saved with the
            optimizer's variables, so that a reloaded optimizer goes on with it.
        {{keyword_args}}

    Weight decay is decoupled: it moves the variable and stays out of `mu` and `C`.
    `mu`, `C` and the arithmetic are float32 for half-precision variables, and of the
    variable's own dtype otherwise. A sparse gradient (an embedding's) counts as the
    dense one it stands for. A gradient that is not finite makes `mu`, `C` and the
    variable not finite, as in Keras's own optimizers.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import ASGLD

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=ASGLD(learning_rate=0.05, seed=0), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Bhardwaj, 2019](https://arxiv.org/abs/1906.04324), Algorithm 1. The code
      published with the paper computes something else: it never stores the mean.
    """

    slot_names = ("mu", "C")
    rule = staticmethod(rules.asgld)
    momentum = Constant(below=1)
    noise = Hyperparameter()

    def __init__(
        self,
        learning_rate: Number = 0.1,
        momentum: Number = 0.9,
        noise: Number = 1.0,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
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
        self.noise = noise

    def numbers(self, learning_rate):
        return learning_rate, self.momentum, self.noise

    @staticmethod
    def effective_learning_rate(learning_rate, momentum, noise):
        return learning_rate * (1 + noise)

    @staticmethod
    def terms(before, after, z, decay, learning_rate, momentum, noise):
        old_mu, _, _ = before
        mu, C, _ = after
        return Terms(
            gradient=learning_rate * (mu - momentum * old_mu) / (1 - momentum),
            noise=learning_rate * noise * ops.sqrt(C) * z,
            mean=learning_rate * noise * mu,
            # Of the mean path's step, learning_rate * (1 + noise), and this noise.
            temperature=learning_rate * ops.square(noise) * C / (2 * (1 + noise)),
        )
