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
class ScaleFreeASGLD(LangevinOptimizer):
    """ASGLD whose steps have a length, as Adam's do: the loss's scale is divided out.

    Each weight's step, ASGLD's gradient plus noise that looks like the gradient, is
    divided by the running root mean square of that gradient. So a learning rate is a
    length in the space of the weights, and the same one serves a loss and its
    thousandfold. Use it where you would use Adam.

    The update rule, element-wise, with `z` a standard normal draw and t the number of
    the update, from 1:

    ```
    mu       = momentum * mu + (1 - momentum) * gradient
    C        = momentum * C + (1 - momentum) * (gradient - mu) * (gradient - old_mu)
    v        = (C + mu**2) / (1 - momentum**t)
    xi       = mu + sqrt(C) * z
    variable = variable - learning_rate * (gradient + noise * xi) / (sqrt(v) + epsilon)
    ```

    The rule is this package's own; Algorithm 1 of the ASGLD paper is `ASGLD`. It needs
    no state beyond ASGLD's, for the running variance and mean of the gradient hold its
    running square: `C + mu**2` is Adam's second moment of decay ρ (`momentum`),
    `(1 - ρ) * sum(ρ**(t - i) * gradient_i**2)`, and `1 - ρ**t` its bias correction.

    What follows from that:

    - With `noise=0` it is `keras.optimizers.Adam(learning_rate, beta_1=0, beta_2=ρ)`,
      RMSprop with bias correction. As `noise` grows, at a fixed
      `learning_rate * noise`, it becomes Adam with both betas ρ plus noise, where the
      mean is not bias-corrected: the first steps, of a mean that has seen little, are
      short. Adam with equal betas is known to do well; Orvieto and Gower read it as an
      estimate of the gradient's mean and variance, those whose draws are the noise
      here. In between, it is quasi-hyperbolic Adam plus noise.
    - The divisor is the preconditioner of `PSGLD`, but for the bias correction.
    - The noise `sqrt(C / v)` and the mean `mu / sqrt(v)` share what they have: their
      squares add up to `1 - ρ**t`. Where minibatches agree a step is long and sure,
      where they do not it is random.
    - A step is bounded: in units of the learning rate by
      `sqrt((1 - ρ**t) / (1 - ρ)) + noise * sqrt(1 + z**2)`, whatever the gradients. The
      first is one in the gradient's direction plus noise:
      `1 + noise * (1 - ρ) + noise * sqrt(ρ * (1 - ρ)) * z`.
    - The loss multiplied by a constant, and `epsilon` with it, gives the same weights,
      to the bit if it is a power of two.

    Setting the numbers: the effective step is `learning_rate * (1 + noise)`; when you
    change `noise`, change `learning_rate` against it. The defaults were chosen on
    validation data of six small tasks and compared on those and six others with Keras's
    (docs/study.md). Their effective step, four times Adam's of the same rate, is one
    for training from nothing in hundreds of steps; for fine-tuning take a smaller one.
    The injected noise, whose standard deviation is at most `learning_rate * noise` a
    step, vanishes with the learning rate: a schedule anneals it.

    The update count is the optimizer's `iterations`, which with gradient accumulation
    counts updates. It is saved with the slots. If you set it by hand, steps stay within
    the bound above: set back to zero, they are shorter for about `1 / (1 - ρ)` steps;
    set far ahead of slots that are new, they are longer.

    Args:
        learning_rate: η, a length. A non-negative float, a
            `keras.optimizers.schedules.LearningRateSchedule` instance, or a callable
            that takes no arguments and returns the value to use. Defaults to `0.001`.
        momentum: ρ. A float in [0, 1): the decay of the gradient's running mean and
            variance. Defaults to `0.95`.
        noise: ψ, the noise scale. A non-negative float, a `LearningRateSchedule` or a
            callable, like `learning_rate`. A float can be reassigned during training
            (`optimizer.noise = 0.5`). A schedule, or a callable that returns a tensor,
            must itself keep to the range: its values are not checked, as Keras does
            not check those of a learning rate. Defaults to `3.0`.
        epsilon: A non-negative float, in the units of a gradient: weights whose
            gradients are far below it stand still. In float32 squares below 1e-38 are
            zero, so keep it above 1e-15. With 0, a weight whose gradients have all been
            zero becomes NaN. Defaults to `1e-8`.
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
    from keras_asgld import ScaleFreeASGLD

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=ScaleFreeASGLD(0.001, seed=0), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```

    Reference:

    - [Bhardwaj, 2019](https://arxiv.org/abs/1906.04324), for the noise.
    - [Orvieto & Gower, 2025](https://arxiv.org/abs/2505.21829), on Adam with equal
      betas.
    - [Ma & Yarats, 2019](https://arxiv.org/abs/1810.06801), on quasi-hyperbolic Adam.
    """

    slot_names = ("mu", "C")
    rule = staticmethod(rules.scale_free_asgld)
    momentum = Constant(below=1)
    noise = Hyperparameter()
    epsilon = Constant()

    def __init__(
        self,
        learning_rate: Number = 0.001,
        momentum: Number = 0.95,
        noise: Number = 3.0,
        epsilon: Number = 1e-8,
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
        self.epsilon = epsilon

    def numbers(self, learning_rate):
        t = ops.cast(self.iterations, "float32") + 1
        return learning_rate, self.momentum, self.noise, self.epsilon, t

    @staticmethod
    def effective_learning_rate(learning_rate, momentum, noise, epsilon, t):
        return learning_rate * (1 + noise)

    @staticmethod
    def terms(before, after, z, decay, learning_rate, momentum, noise, epsilon, t):
        old_mu, _, _ = before
        mu, C, _ = after
        v = (C + ops.square(mu)) / (1 - ops.power(momentum, t))
        rate = learning_rate / (ops.sqrt(v) + epsilon)
        return Terms(
            gradient=rate * (mu - momentum * old_mu) / (1 - momentum),
            noise=rate * noise * ops.sqrt(C) * z,
            mean=rate * noise * mu,
            # Of the mean path's step, rate * (1 + noise), and this noise.
            temperature=rate * ops.square(noise) * C / (2 * (1 + noise)),
        )
