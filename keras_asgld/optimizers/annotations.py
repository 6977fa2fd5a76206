"""The types of what the optimizers' constructors take."""

from collections.abc import Callable
from typing import Any, SupportsFloat

from keras_asgld.optimizers.prior import Prior

# A number, or a schedule of it: of Keras, or any function that returns a tensor.
Number = SupportsFloat | Callable[..., Any]
PriorArgument = float | dict[str, float | None] | Prior | None
