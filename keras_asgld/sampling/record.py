"""What says that a chain is finished, and with which settings."""

import json

from keras_asgld import atomic
from keras_asgld.checks import shortened

NAME = "chain.json"
FORMAT = 1


# What the first records lack.
_LATER = (
    *("model", "loss", "x", "y", "sample_weight"),
    *("loss_weights", "class_weight", "initial_epoch"),
    *("shuffle", "steps_per_epoch", "validation_split"),
)
# Of an optimizer's configuration: the seed is the chain's; the names, which are in the
# paths of variables too, Keras numbers anew whenever a program makes the same again.
_UNSETTLED = ("seed", "name", "excluded_from_noise")


def of_optimizer(optimizer):
    """What tells an optimizer from others, a dict of settings."""
    config = _settled(optimizer.get_config())
    return {
        "optimizer": type(optimizer).__name__,
        **{f"optimizer.{name}": value for name, value in config.items()},
    }


def _settled(config):
    if not isinstance(config, dict):
        return config
    return {
        name: _settled(value)
        for name, value in config.items()
        if name not in _UNSETTLED
    }


def plain(values):
    """Settings or a history as they will be when they are read from a file."""
    return json.loads(json.dumps(values, default=_plain))


def _plain(value):
    # Callbacks may put NumPy's numbers and arrays into a history.
    return value.tolist() if hasattr(value, "tolist") else type(value).__name__


def write(folder, settings, history):
    """Says that the chain in this folder is finished.

    Args:
        folder: A `pathlib.Path`.
        settings, history: What `plain` returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {"format": FORMAT, "settings": settings, "history": history}
    with atomic.replacing(folder / NAME) as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n")


def read(folder):
    """The record as a dict, or `None` where the chain is not finished.

    Raises:
        ValueError: If there is one that cannot be understood.
    """
    path = folder / NAME
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no record of a chain: {error}") from None
    good = (
        isinstance(record, dict)
        and record.get("format") == FORMAT
        and isinstance(record.get("settings"), dict)
        and isinstance(record.get("history"), dict)
    )
    if not good:
        raise ValueError(f"{path} is no record of a chain of format {FORMAT}")
    return record


def check(folder, found, settings):
    """Raises `ValueError` unless a finished chain has these settings."""
    for name in [*settings, *(found.keys() - settings.keys())]:
        value = settings.get(name)
        if name in _LATER and name not in found:
            continue
        if found.get(name) != value:
            raise ValueError(
                "`directory` must hold chains of these settings, or none. Received: "
                f"{str(folder)!r} is finished with {name}="
                f"{shortened(repr(found.get(name)))} instead of "
                f"{shortened(repr(value))}"
            )
