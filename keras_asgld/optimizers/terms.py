"""What one step was made of, read from the state around it.

A step keeps nothing for this. The noise is a pure function of the update, so it can be
drawn again, and the running averages before and after a step give the gradient that
the rule was given. Each optimizer declares one function

    terms(before, after, z, decay, *numbers) -> Terms

of tensors of one shape: `before` and `after` are lists of the variable's slots and the
variable, `z` is the step's normal draw, `decay` the variable's decoupled weight decay
and `numbers` what the optimizer's `numbers` returned.
"""

from typing import NamedTuple

import keras


class Terms(NamedTuple):
    """The parts of one step of one variable, tensors of its shape.

    Attributes:
        gradient: What the gradient moved the variable by, up to its sign.
        noise: The random part of the noise.
        temperature: A quantity whose average over the weights is a temperature.
        mean: The noise's mean, or `None` where it has none.
    """

    gradient: keras.KerasTensor
    noise: keras.KerasTensor
    temperature: keras.KerasTensor
    mean: keras.KerasTensor | None = None
