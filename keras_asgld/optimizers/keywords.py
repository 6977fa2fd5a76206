"""What Keras's keywords must be, where Keras itself does not look at them."""

import math

import numpy as np

from keras_asgld.checks import check_integer, check_number


def check(
    weight_decay=None,
    clipnorm=None,
    clipvalue=None,
    global_clipnorm=None,
    use_ema=False,
    ema_momentum=0.99,
    loss_scale_factor=None,
    gradient_accumulation_steps=None,
    **others,
):
    """Raises `ValueError` for what would be ignored, spoil weights or fail in `fit`.

    Args:
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            loss_scale_factor, gradient_accumulation_steps: As in `KEYWORD_ARGS`.
        **others: Those that Keras checks.
    """
    _check_number("weight_decay", weight_decay)
    _check_number("clipnorm", clipnorm)
    if not _is_infinite(clipvalue):  # which clips nothing
        _check_number("clipvalue", clipvalue)
    _check_number("global_clipnorm", global_clipnorm)
    _check_number("loss_scale_factor", loss_scale_factor, positive=True)
    if use_ema:
        check_number("ema_momentum", ema_momentum, at_most=1)
    if gradient_accumulation_steps:  # zero is none to Keras
        check_integer("gradient_accumulation_steps", gradient_accumulation_steps, 2)


def _check_number(name, value, positive=False):
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    tensor = hasattr(value, "shape") and not isinstance(value, (np.ndarray, np.generic))
    # `False` is none to Keras, too; to look at a tensor would wait for the device.
    if not (value is None or tensor or (value is False and not positive)):
        check_number(name, value, positive=positive)


def _is_infinite(value):
    return isinstance(value, (float, np.floating)) and value == math.inf
