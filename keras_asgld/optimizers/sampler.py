"""What the optimizers that sample at a temperature share, the posterior's terms too."""

import warnings

import keras
import numpy as np

from keras_asgld.checks import check_integer, require
from keras_asgld.optimizers.hyperparameter import Hyperparameter
from keras_asgld.optimizers.langevin import LangevinOptimizer
from keras_asgld.optimizers.prior import SAVED, as_prior

POSTERIOR_ARGS = """examples: N, the number of training examples, not of a batch. An
            integer >= 1; or `None` (the default), with which `temperature` is that of
            the loss. The callbacks `NoiseMonitor` and `WeightEnsemble` warn once
            if an epoch of `fit` has another number of them; without either in `fit`,
            nothing does.
        prior: What is known of the weights without data; only with `examples`. A float
            σ, the standard deviation of a Gaussian about zero; a dict of such by name
            pattern, `{"bias|gamma|beta": None, "": 0.3}`, of which the first that
            occurs in a variable's path holds, `None` being flat; a
            `keras_asgld.Prior`, which can be about given weights instead; or `None`
            (the default), flat for all."""

POSTERIOR = """Posterior. With `examples` the rule is given, in place of the loss's
    gradient and the temperature T, those of the posterior:

    ```
    gradient    = gradient + (variable - mean) / (examples * sigma**2)
    temperature = T / examples
    ```

    with `sigma` and `mean` those of the prior (no such term where it is flat). Keras's
    loss counts as 1/N of the negative log-likelihood, as cross-entropy is, and
    with a small learning rate the variables come to be distributed as
    `exp(-(examples * loss + (variable - mean)**2 / (2 * sigma**2)) / T)`:
    at T = 1 that is Bayes' posterior. "mse" is no such loss: for a noise of variance v
    it has to be divided by 2 v. A loss that is a mean over several outputs has to be
    multiplied by their number. The prior is part of the rule: it is neither clipped nor
    in the loss that `fit` shows. Regularizers and `weight_decay` come on top of it, and
    a warning says so of `weight_decay`."""

TEMPERATURE = """Temperature. With a small learning rate the variables come to be
    distributed as `exp(-loss / temperature)`. A Keras loss is a mean over examples. So,
    without `examples`,
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

PARTS = {
    "temperature": TEMPERATURE,
    "posterior": POSTERIOR,
    "posterior_args": POSTERIOR_ARGS,
}


class LangevinSampler(LangevinOptimizer):
    """Base class of the Langevin optimizers that have a temperature.

    Attributes:
        temperature: What the user set: with `examples`, that of the posterior.
        examples: The number of training examples, or `None`.
        prior: A `Prior`, or `None` for a flat one.
    """

    temperature = Hyperparameter()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__doc__:
            for name, text in PARTS.items():
                cls.__doc__ = cls.__doc__.replace(f"{{{{{name}}}}}", text)

    def __init__(self, learning_rate, temperature, examples=None, prior=None, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        if examples is not None:
            check_integer("examples", examples, 1)
            temperature = 1.0 if temperature is None else temperature
        self.prior = as_prior(prior)
        require(
            self.prior is None or examples is not None,
            "examples",
            examples,
            "the number of training examples where there is a `prior`",
        )
        require(
            temperature is not None,
            "temperature",
            temperature,
            "given, or `examples`, the number of training examples, for which it is 1",
        )
        if self.prior is not None and self.weight_decay:
            warnings.warn(
                "`weight_decay` draws the weights towards zero on top of `prior`, and "
                "the posterior is no longer the prior's: leave one of them out. "
                f"Received: weight_decay={self.weight_decay!r}, prior={prior!r}",
                stacklevel=3,
            )
        self.temperature = temperature
        self.examples = None if examples is None else int(examples)
        self._noticed_examples = False
        # Weights that a configuration names but does not hold.
        self._lacks_mean = self.prior is not None and self.prior.mean == SAVED

    @property
    def loss_temperature(self):
        """The temperature of the loss, which is a mean over examples."""
        if self.examples is None:
            return self.temperature
        return self.temperature / self.examples

    def prior_of(self, variables):
        if self.prior is None:
            return super().prior_of(variables)
        sigmas = self.prior.sigmas(variables)
        given = [
            sigma is not None and not self._overwrite_variable_with_gradient(variable)
            for sigma, variable in zip(sigmas, variables, strict=True)
        ]
        precisions = [
            1 / (self.examples * float(sigma) ** 2) if pulls else 0.0
            for sigma, pulls in zip(sigmas, given, strict=True)
        ]
        means = [
            mean if pulls else None
            for mean, pulls in zip(self.prior.means(variables), given, strict=True)
        ]
        return np.array(precisions), means

    def apply(self, grads, trainable_variables=None):
        require(
            not self._lacks_mean,
            "mean",
            self.prior and self.prior.mean,
            "loaded with the optimizer's variables, from the saved model that this "
            "prior's configuration was made of, or given again as a list",
        )
        return super().apply(grads, trainable_variables)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        if len(store.keys()) == len(self.variables):  # or Keras warns and loads nothing
            self._lacks_mean = False

    def notice_examples(self, count):
        """Warns, once, if an epoch had other than `examples` examples.

        One in a hundred may be amiss, which changes a variance by no more: a pipeline
        that drops its last, incomplete batch leaves out as few.

        Args:
            count: The number of examples of an epoch; 0 if none were counted.
        """
        if self.examples is None or self._noticed_examples or not count:
            return
        if abs(count - self.examples) > self.examples / 100:
            self._noticed_examples = True
            warnings.warn(
                f"`examples` is the number of training examples, and an epoch had "
                f"{count}. If these are all, the posterior's temperature is wrong by "
                f"the quotient. Received: examples={self.examples}",
                stacklevel=2,
            )

    def get_config(self):
        config = super().get_config()
        if self.examples is not None:
            config["examples"] = self.examples
        if self.prior is not None:
            config["prior"] = keras.saving.serialize_keras_object(self.prior)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if isinstance(config.get("prior"), dict):
            config["prior"] = keras.saving.deserialize_keras_object(
                config["prior"], custom_objects=custom_objects
            )
        return super().from_config(config, custom_objects=custom_objects)
