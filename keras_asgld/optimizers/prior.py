"""Prior: a Gaussian on the weights, said in its own units."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_asgld.checks import check_number, require
from keras_asgld.optimizers.exclusion import path

# What it is about, where that is no list: weights at build time, or weights that a
# configuration does not hold.
INITIAL, SAVED = "initial", "saved"
# Their inverse squares are well within float32, whatever the number of examples.
SMALLEST, LARGEST = 1e-12, 1e12


@keras.saving.register_keras_serializable(package="keras_asgld")
class Prior:
    """A Gaussian prior on the weights, for the argument `prior` of the samplers.

    The density of each weight is proportional to
    `exp(-(weight - mean)**2 / (2 * sigma**2))`. In the samplers, `prior=sigma` is
    short for `prior=Prior(sigma)`, about zero. About given weights it is a *localised*
    prior, `exp(-gamma / 2 * |w - w0|**2)` with `sigma = gamma**-0.5`: it keeps the
    samples in the neighbourhood of a trained network.

    Args:
        sigma: The standard deviation, in the units of a weight. A float in
            [1e-12, 1e12]; `None` for a flat prior, that is none; or a dict of such
            values by name pattern, `{"bias|gamma|beta": None, "": 0.3}`: a
            variable has the value of the first pattern that (as a regular expression,
            by `re.search`) occurs in its path, which holds the names of its layers and
            ends with its own. Every variable must have one, so a last pattern `""` is
            for the rest. When the optimizer is built, a warning names each pattern
            that occurs in no path of a variable that is trained.
        mean: What the Gaussian is about. `None`, the default, is zero. `"initial"` is
            the weights as they are when the optimizer is built: in `fit` those at
            its beginning, so load a trained network's before. Or a list of arrays,
            one for each variable that is trained, in the order of
            `model.trainable_variables`. Weights that it is about are kept beside the
            optimizer's slots, and are saved and loaded as these are, in a
            `.keras` or `.weights.h5` file. A configuration holds no weights: a list
            becomes `mean="saved"` in it, and an optimizer that is made from that makes
            no step until its variables are loaded from a file.

    Raises:
        ValueError: If an argument is out of its range or of another kind. When the
            optimizer is built: if no pattern occurs in a variable's path, or the list's
            length or shapes are not those of the variables.

    Example:

    ```python
    import keras
    from keras_asgld import SGLD, Prior

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    prior = Prior({"bias": None, "": 0.5}, mean="initial")
    model.compile(SGLD(0.05, examples=32, prior=prior), loss="mse")
    history = model.fit(keras.ops.ones((32, 4)), keras.ops.ones((32, 1)), verbose=0)
    ```
    """

    def __init__(
        self,
        sigma: float | dict[str, float | None] | None,
        mean: str | Sequence[Any] | None = None,
    ) -> None:
        _check_sigmas("sigma", sigma)
        arrays = "None, 'initial' or a list of arrays of finite numbers"
        if isinstance(mean, str):
            require(mean in (INITIAL, SAVED), "mean", mean, arrays)
        elif mean is not None:
            require(isinstance(mean, (list, tuple)), "mean", mean, arrays)
            mean = [_as_array(each) for each in mean]
            require(all(each is not None for each in mean), "mean", mean, arrays)
        self.sigma = sigma
        self.mean = mean

    def sigmas(self, variables: Sequence[Any]) -> list[float | None]:
        """The standard deviation for each of the variables, `None` where it is flat."""
        if not isinstance(self.sigma, dict):
            return [self.sigma] * len(variables)
        for pattern in self.sigma:
            if not any(re.search(pattern, path(variable)) for variable in variables):
                _warn(pattern, variables)
        return [self._by_pattern(path(variable)) for variable in variables]

    def _by_pattern(self, path):
        for pattern, value in self.sigma.items():
            if re.search(pattern, path):
                return value
        raise ValueError(
            f"`prior` must have a pattern for each variable, and has none for {path!r} "
            f'("" fits all). Received: patterns {list(self.sigma)}'
        )

    def means(self, variables: Sequence[Any]) -> list[Any]:
        """What it is about for each of the variables, `None` where that is zero."""
        if self.mean is None:
            return [None] * len(variables)
        if isinstance(self.mean, str):
            return [ops.convert_to_tensor(variable) for variable in variables]
        require(
            len(self.mean) == len(variables),
            "mean",
            self.mean,
            f"a list of as many arrays as there are variables, {len(variables)}",
            show=lambda mean: f"a list of {len(mean)}",
        )
        for mean, variable in zip(self.mean, variables, strict=True):
            require(
                mean.shape == tuple(variable.shape),
                "mean",
                mean,
                f"of the shape of {path(variable)!r}, {tuple(variable.shape)}, there",
                show=lambda mean: f"an array of shape {mean.shape}",
            )
        return self.mean

    def get_config(self) -> dict[str, Any]:
        mean = SAVED if isinstance(self.mean, list) else self.mean
        # Pairs, for their order counts and JSON's objects have none.
        sigma: Any = self.sigma
        if isinstance(sigma, dict):
            sigma = [list(pair) for pair in sigma.items()]
        return {"sigma": sigma, "mean": mean}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        sigma = config["sigma"]
        if isinstance(sigma, (list, tuple)):
            sigma = dict(sigma)
        return cls(sigma, config["mean"])


def as_prior(value):
    """What the samplers' argument `prior` stands for: a `Prior` or `None`."""
    if value is None or isinstance(value, Prior):
        return value
    kinds = "a float, a dict of them by name pattern, a `keras_asgld.Prior` or None"
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    require(number or isinstance(value, dict), "prior", value, kinds)
    _check_sigmas("prior", value)
    return Prior(value)


def _check_sigmas(name, value):
    """Raises unless `value` is a standard deviation or a dict of some by pattern."""
    if not isinstance(value, dict):
        _check_sigma(name, value)
        return
    require(value, name, value, "a dict of at least one pattern")
    for pattern, sigma in value.items():
        constraint = f"a dict of regular expressions, which {pattern!r} is not"
        require(_is_pattern(pattern), name, value, constraint)
        _check_sigma(f"{name}[{pattern!r}]", sigma)


def _check_sigma(name, value):
    if value is not None:
        check_number(name, value, positive=True)
        constraint = f"in the range [{SMALLEST}, {LARGEST}] or None"
        require(SMALLEST <= value <= LARGEST, name, value, constraint)


def _is_pattern(value):
    try:
        re.compile(value)
    except (re.error, TypeError):
        return False
    return isinstance(value, str)


def _as_array(value):
    try:
        array = np.array(ops.convert_to_numpy(value), "float64")
    except (TypeError, ValueError):
        return None
    return array if np.all(np.isfinite(array)) else None


def _warn(pattern, variables):
    first = ", ".join(path(variable) for variable in variables[:3])
    warnings.warn(
        f"`prior`: {pattern!r} matches none of the {len(variables)} variables that are "
        f"trained ({first}, …).",
        stacklevel=6,
    )
