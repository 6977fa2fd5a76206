"""The draws of several chains: arrays whose first axes are chains and draws."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from keras_asgld.checks import require

Draws = ArrayLike | Mapping[str, ArrayLike]

FEWEST_CHAINS = 2
FEWEST_DRAWS = 4  # each half of a chain must have a variance


def checked(draws):
    """A dict of float64 arrays of shape (chains, draws, ...), by name.

    Args:
        draws: Such a dict, or one array, which gets the name `"draws"`.

    Raises:
        ValueError: If there is no array or no number in one, an array has too few
            chains or draws or others than the first one, or a number is not finite.
    """
    if not isinstance(draws, dict):
        return {"draws": _array("draws", draws)}
    names = all(isinstance(name, str) and name for name in draws)
    require(draws and names, "draws", draws, "an array, or a dict of them by name")
    arrays = {name: _array(f"draws[{name!r}]", each) for name, each in draws.items()}
    (first, one), *others = arrays.items()
    for name, array in others:
        if array.shape[:2] != one.shape[:2]:
            raise ValueError(
                "`draws` must be arrays of as many chains and draws each. Received: "
                f"draws[{first!r}] of shape {one.shape}, "
                f"draws[{name!r}] of shape {array.shape}"
            )
    return arrays


def _array(name, values):
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    require(array.dtype.kind in "fiub", name, values, "an array of real numbers")
    good = (
        array.ndim >= 2
        and array.shape[0] >= FEWEST_CHAINS
        and array.shape[1] >= FEWEST_DRAWS
        and array.size > 0
    )
    if not good:
        raise ValueError(
            f"`{name}` must have shape (chains, draws, ...), with at least "
            f"{FEWEST_CHAINS} chains and {FEWEST_DRAWS} draws, and hold numbers. "
            f"Received: shape {array.shape}"
        )
    array = array.astype("float64")
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        chain, draw, *rest = wrong[0].tolist()
        raise ValueError(
            f"`{name}` must be finite. Received: {array[tuple(wrong[0])]} in draw "
            f"{draw} of chain {chain}{f', at {tuple(rest)}' if rest else ''}, and "
            f"{len(wrong)} such numbers in all"
        )
    return array


def is_constant(array):
    """Whether a quantity is the same in all draws of all chains, for each of them."""
    return (array == array[:1, :1]).all(axis=(0, 1))


def label(name, index):
    """What to call one quantity of an array: `predictions[3, 1]`, or `loss`."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name
