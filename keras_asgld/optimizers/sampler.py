"""What the optimizers that sample at a temperature share: SGLD, PSGLD and SGHMC."""

from keras_asgld.optimizers.hyperparameter import Hyperparameter
from keras_asgld.optimizers.langevin import LangevinOptimizer

TEMPERATURE = """Temperature. With a small learning rate the variables come to be
    distributed as `exp(-loss / temperature)`. A Keras loss is a mean over examples. So
    with N training examples and a loss that is the negative log-likelihood, as
    cross-entropy is, `temperature=1 / N` samples the posterior (N is the size of the
    training set, whatever the batch size), 0 optimises, and a value between them
    samples a "cold" posterior, narrower than Bayes' rule has it. A regularizer in the
    loss is a prior: `L2(c)` is a Gaussian of mean zero and variance
    `temperature / (2 * c)`; without one the prior is flat. `weight_decay` stays out
    of the gradient; in `SGLD` it acts as the prior of `c = weight_decay / 2`, in the
    others it is none. A schedule, or a callable that returns a tensor, must itself
    keep to finite values that are not negative, for they are not checked. Burn-in is a
    schedule: of `keras.optimizers.schedules`,
    `PiecewiseConstantDecay([steps], [0.0, 1 / N])` has no noise up to that step.
    Cyclical SG-MCMC ([Zhang et al., 2020](https://arxiv.org/abs/1902.03932)) is
    `CosineDecayRestarts(rate, steps, t_mul=1.0)` for the learning rate with
    `keras_asgld.CyclicTemperature(1 / N, steps, sampling_steps)`."""


class LangevinSampler(LangevinOptimizer):
    """Base class of the Langevin optimizers that have a temperature."""

    temperature = Hyperparameter()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__doc__:
            cls.__doc__ = cls.__doc__.replace("{{temperature}}", TEMPERATURE)

    def __init__(self, learning_rate, temperature, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.temperature = temperature
