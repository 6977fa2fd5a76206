"""The flags of fine-tuning: what they mean together, and what the rate follows."""

import math

from keras_asgld.checks import check_float32, require
from keras_asgld.runs import environment
from keras_asgld.runs.files import ExperimentError

FLAGS = {
    "weights": (str, None, "of applications/NAME: imagenet or a weights file"),
    "freeze": (int, None, "first epochs for the new layer alone; default half"),
    "unfreeze_rate": (float, None, "learning rate after those; default by optimizer"),
    "unfreeze_clipnorm": (float, None, "of all gradients, then; default 1, 0 for none"),
    "pretrained_noise": (("off", "on"), "off", "noise on the pretrained part too"),
    "max_unpacked_bytes": (int, None, "of hub/ARCHIVE on the disk; default 2**32"),
}
PRECISION = (
    ("off", "auto", "bfloat16", "float16"),
    "off",
    "auto: if the CPU has bfloat16",
)
CLIPNORM = 1.0
# What is pretrained needs less than a data set's task, which trains from nothing.
EPOCHS, BATCH_SIZE = 10, 32
_LANGEVIN = ("asgld", "scale-free", "sgld", "psgld", "sghmc", "sgnht", "baoa")


def langevin(optimizer):
    """Whether the optimizer of that name adds noise."""
    return optimizer.startswith(_LANGEVIN)


def fine_tunes(values, model):
    """Whether a network of that name, with the flags' values, is pretrained."""
    return values.get("weights") is not None or model.startswith("hub/")


def choose(values, model, epochs, unfreeze_rate):
    """The fields of `Settings` that fine-tuning has, from the flags.

    Args:
        values: The flags' values by name; those of `FLAGS` may be missing.
        model: Its name.
        epochs: How many epochs the run has.
        unfreeze_rate: The rate of the second stage if the flags name none.

    Returns:
        A dict of `fine_tuning` (None, or a dict of `weights`, `freeze`,
        `unfreeze_rate`, `unfreeze_clipnorm` and `noisy`) and `mixed_precision` (None
        or a dtype).
    """
    freeze, rate = values.get("freeze"), values.get("unfreeze_rate")
    clipnorm = values.get("unfreeze_clipnorm")
    precision = values.get("mixed_precision", "off")
    if precision == "auto":
        precision = "bfloat16" if environment.has_bfloat16() else "off"
    chosen = {"mixed_precision": None if precision == "off" else precision}
    most = values.get("max_unpacked_bytes")
    if most is not None:
        _check("max_unpacked_bytes", most, most >= 1, "at least 1")
        good = model.startswith("hub/")
        _check("max_unpacked_bytes", most, good, "left out without --model=hub/ARCHIVE")
    if not fine_tunes(values, model):
        noise = values.get("pretrained_noise", "off")
        given = {
            "freeze": freeze,
            "unfreeze_rate": rate,
            "unfreeze_clipnorm": clipnorm,
            "pretrained_noise": None if noise == "off" else noise,
        }
        for name, value in given.items():
            if value is not None:
                raise ExperimentError(
                    f"`{name}` must come with --weights or --model=hub/HANDLE, for "
                    "it is about pretrained weights alone. "
                    f"Received: {name}={value}"
                )
        return chosen
    # A single epoch is the new layer's: the second stage is too slow to teach it.
    freeze = max(1, epochs // 2) if freeze is None else freeze
    rate = unfreeze_rate if rate is None else rate
    clipnorm = CLIPNORM if clipnorm is None else clipnorm
    _check("freeze", freeze, freeze >= 0, "not negative")
    _check("unfreeze_rate", rate, 0 < rate < math.inf, "finite and positive")
    good = 0 <= clipnorm < math.inf
    _check("unfreeze_clipnorm", clipnorm, good, "finite and not negative")
    check_float32("unfreeze_rate", rate, ExperimentError)
    check_float32("unfreeze_clipnorm", clipnorm, ExperimentError)
    return chosen | {
        "fine_tuning": {
            "weights": values.get("weights"),
            "freeze": freeze,
            "unfreeze_rate": rate,
            "unfreeze_clipnorm": clipnorm,
            "noisy": values.get("pretrained_noise") == "on",
            **({} if most is None else {"max_unpacked_bytes": most}),
        }
    }


def rates(settings):
    """The learning rates by the epoch they begin with, in order.

    Letting a pretrained part go sets the rate, also where a drop comes at once.
    """
    found = {0: settings.hyperparameters["learning_rate"]}
    chosen = settings.fine_tuning
    freeze = chosen["freeze"] if chosen else settings.epochs
    for epoch in sorted({freeze, *settings.drop_epochs}):
        if epoch < settings.epochs:
            last = list(found.values())[-1]
            unfrozen = epoch == freeze
            found[epoch] = (
                chosen["unfreeze_rate"] if unfrozen else last * settings.drop_factor
            )
    return found


def _check(name, value, good, constraint):
    require(good, name, value, constraint, ExperimentError, str)
