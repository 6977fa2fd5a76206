"""What the callbacks ask of their arguments."""

import numbers


def check_integer(name, value, lowest):
    """Raises `ValueError` unless `value` is an integer of at least `lowest`."""
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not integer or value < lowest:
        raise ValueError(
            f"`{name}` must be an integer >= {lowest}. Received: {name}={value!r}"
        )
