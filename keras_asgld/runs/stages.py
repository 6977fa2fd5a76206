"""The flags of fine-tuning: what they mean together, and what the rate follows."""

from keras_asgld.checks import check_float32, require
from keras_asgld.runs.files import ExperimentError

FLAGS = {
    "weights": (str, None, "of applications/NAME: imagenet or a weights file"),
    "freeze": (int, None, "first epochs for the new layer alone; default half"),
    "unfreeze_factor": (float, None, "of the rate, after those; default by optimizer"),
    "pretrained_noise": (("off", "on"), "off", "noise on the pretrained part too"),
}
PRECISION = (("off", "bfloat16", "float16"), "off", "compute in that dtype")
_ADAPTIVE = ("adam", "amsgrad", "adagrad", "rmsprop", "psgld", "scale-free")
_LANGEVIN = ("asgld", "scale-free", "sgld", "psgld", "sghmc", "sgnht", "baoa")


def langevin(optimizer):
    """Whether the optimizer of that name adds noise."""
    return optimizer.startswith(_LANGEVIN)


def choose(values, model, optimizer, epochs):
    """The fields of `Settings` that fine-tuning has, from the flags.

    Args:
        values: The flags' values by name; those of `FLAGS` may be missing.
        model, optimizer: Their names.
        epochs: How many epochs the run has.

    Returns:
        A dict of `fine_tuning` (None, or a dict of `weights`, `freeze`,
        `unfreeze_factor` and `noisy`) and `mixed_precision` (None or a dtype).
    """
    weights, freeze = values.get("weights"), values.get("freeze")
    factor = values.get("unfreeze_factor")
    precision = values.get("mixed_precision", "off")
    chosen = {"mixed_precision": None if precision == "off" else precision}
    if weights is None and not model.startswith("hub/"):
        noise = values.get("pretrained_noise", "off")
        given = {
            "freeze": freeze,
            "unfreeze_factor": factor,
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
    freeze = epochs // 2 if freeze is None else freeze
    factor = _factor(optimizer) if factor is None else factor
    _check("freeze", freeze, freeze >= 0, "not negative")
    _check("unfreeze_factor", factor, 0 < factor <= 1, "in the range (0, 1]")
    check_float32("unfreeze_factor", factor, ExperimentError)
    return chosen | {
        "fine_tuning": {
            "weights": weights,
            "freeze": freeze,
            "unfreeze_factor": factor,
            "noisy": values.get("pretrained_noise") == "on",
        }
    }


def _factor(optimizer):
    """The factor from the rate that suits a new layer to that of a whole network.

    A pretrained network's gradients are large, and a step in proportion to them has to
    be small. How small depends on the network: MobileNetV2 forgets everything with
    asgld at .001, and a ResNet-20 learns fastest at .1. At .0001 neither loses anything
    (benchmarks/unfreezing.py). Adaptive methods go on learning at .1.
    """
    return 0.1 if optimizer.startswith(_ADAPTIVE) else 0.0001


def rate_changes(settings):
    """(epoch, factor) of each change of the learning rate, in order."""
    changes = [(epoch, settings.drop_factor) for epoch in settings.drop_epochs]
    if settings.fine_tuning and settings.fine_tuning["freeze"]:
        chosen = settings.fine_tuning
        changes.append((chosen["freeze"], chosen["unfreeze_factor"]))
    return sorted(change for change in changes if change[0] < settings.epochs)


def rates(settings, rate):
    """The learning rate from the start on, and after each change."""
    found = [rate]
    for _, factor in rate_changes(settings):
        found.append(found[-1] * factor)
    return found


def _check(name, value, good, constraint):
    require(good, name, value, constraint, ExperimentError, str)
