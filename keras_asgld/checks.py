"""What an argument must be: one function for each kind, and one wording.

All raise `ValueError`, or the class that is given as `error`, and say the argument's
name, what it must be, and what was received.
"""

import contextlib
import errno
import math
import numbers
from pathlib import Path

LONGEST = 200
# What float32 holds with all its digits; smaller numbers become zero on many devices.
SMALLEST_FLOAT32 = 2.0**-126
LARGEST_FLOAT32 = (2 - 2.0**-23) * 2.0**127

_NO_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def require(good, name, value, constraint, error=ValueError, show=repr):
    """Raises unless `good`.

    Args:
        good: Whether the argument is as it must be.
        name: The argument's name, as the user wrote it.
        value: What the user gave.
        constraint: What the value must be, the words that follow "must be".
        error: The class to raise.
        show: A function that makes the value a string.
    """
    if not good:
        shown = _shortened(value, show)
        raise error(f"`{name}` must be {constraint}. Received: {name}={shown}")


def check_number(
    name,
    value,
    schedules=False,
    positive=False,
    below=math.inf,
    at_most=math.inf,
    error=ValueError,
):
    """Raises unless `value` is a finite real number, zero or more.

    Args:
        name, value, error: See `require`.
        schedules: Whether a callable will do as well, which is not looked into.
        positive: Whether zero is refused.
        below, at_most: The end of the range, itself outside of it or within.
    """
    if schedules and callable(value):
        return
    kinds = "a float"
    if schedules:
        kinds += ", a `LearningRateSchedule` or a callable of no arguments"
    _require_kind(numbers.Real, name, value, kinds, error)
    number = _as_float(value)
    bound, closing = (below, ")") if below < math.inf else (at_most, "]")
    constraint = "finite and " + ("positive" if positive else "not negative")
    if bound < math.inf:
        constraint = f"in the range {'(' if positive else '['}0, {bound}{closing}"
    good = number > 0 if positive else number >= 0
    good = good and number < below and number <= at_most and math.isfinite(number)
    require(good, name, value, constraint, error, str)


def check_integer(name, value, lowest=0, highest=None, limit=None, error=ValueError):
    """Raises unless `value` is an integer from `lowest` to `highest`, both included.

    Args:
        name, value, error: See `require`.
        lowest, highest: Integers; `highest` may be `None`.
        limit: The name of the argument that `highest` is the value of.
    """
    constraint = f"an integer >= {lowest}"
    if highest is not None:
        constraint = f"an integer in the range [{lowest}, {highest}]"
    if limit is not None:
        constraint += f", that of `{limit}`"
    _require_kind(numbers.Integral, name, value, constraint, error)
    good = value >= lowest and (highest is None or value <= highest)
    require(good, name, value, constraint, error, str)


def check_seed(value, name="seed", error=ValueError):
    """Raises unless `value` is an integer >= 0 or `None`."""
    constraint = "a non-negative integer or None"
    if value is not None:
        _require_kind(numbers.Integral, name, value, constraint, error)
        require(value >= 0, name, value, constraint, error, str)


def check_boolean(name, value, error=ValueError):
    """Raises unless `value` is `True` or `False`."""
    require(isinstance(value, bool), name, value, "True or False", error)


def check_float32(name, value, error=ValueError):
    """Raises unless float32 holds the number `value`, zero included."""
    good = value == 0 or SMALLEST_FLOAT32 <= abs(value) <= LARGEST_FLOAT32
    constraint = "0, or a number of 1.2e-38 to 3.4e38 in size, as float32 holds"
    require(good, name, value, constraint, error, str)


def check_choice(name, value, choices, error=ValueError, show=repr):
    """Raises unless `value` is one of `choices`, which are strings."""
    good = isinstance(value, str) and value in choices
    require(good, name, value, f"one of {', '.join(choices)}", error, show)


def check_directory(name, value, error=ValueError):
    """Raises unless `value` is a path that is or can become that of a directory."""
    require(
        _can_be_directory(value), name, value, "the path of a directory", error, repr
    )


def check_named_directory(name, value):
    """As `check_directory`; an empty string, which is the current one, is refused."""
    check_directory(name, value)
    require(value != "", name, value, "the path of a directory, not empty")


@contextlib.contextmanager
def writing(name, folder):
    """Names the argument if its folder is none that can be written, not if it is full.

    Raises:
        OSError: As it comes from within, with other words.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        raise type(error)(
            error.errno,
            f"`{name}` must be a folder that can be written. "
            f"Received: {name}={str(folder)!r}: {error.strerror}",
        ) from None


def _can_be_directory(value):
    try:
        path = Path(value).absolute()
        for nearest in (path, *path.parents):
            # Not `exists`, for which a link that leads nowhere is not there.
            try:
                nearest.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            return nearest.is_dir()
    except (TypeError, ValueError, OSError):  # a null byte; a name that is too long
        pass
    return False


def _require_kind(kind, name, value, constraint, error):
    # A boolean is an integer to Python, and never meant as one.
    good = isinstance(value, kind) and not isinstance(value, bool)
    words = f"(of type {type(value).__name__})"
    require(good, name, value, constraint, error, lambda v: f"{v!r} {words}")


def _as_float(value):
    try:
        return float(value)
    except OverflowError:  # an integer or a fraction of more than 308 digits
        return math.inf if value > 0 else -math.inf


def shortened(text, longest=LONGEST):
    """A string without what is beyond its first `longest` characters."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text)} characters)"


def _shortened(value, show):
    try:
        return shortened(show(value))
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        return f"<{type(value).__name__} too long to be shown>"
