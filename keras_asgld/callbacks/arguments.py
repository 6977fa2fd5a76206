"""What the callbacks ask of their arguments."""

import numbers
from pathlib import Path


def check_integer(name, value, lowest):
    """Raises `ValueError` unless `value` is an integer of at least `lowest`."""
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not integer or value < lowest:
        raise ValueError(
            f"`{name}` must be an integer >= {lowest}. Received: {name}={value!r}"
        )


def check_boolean(name, value):
    """Raises `ValueError` unless `value` is `True` or `False`."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")


def check_directory(name, value):
    """Raises `ValueError` unless `value` is a path that is or can be a directory."""
    try:
        path = Path(value).absolute()
    except TypeError:
        path = None
    # The nearest that is there, perhaps the root.
    if not path or not next(p for p in (path, *path.parents) if p.exists()).is_dir():
        raise ValueError(
            f"`{name}` must be the path of a directory. Received: {name}={value!r}"
        )
