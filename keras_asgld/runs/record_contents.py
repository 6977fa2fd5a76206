"""What a run's record holds, and what is wrong with one that somebody changed."""

import math
import numbers

from keras_asgld.checks import LARGEST_FLOAT32, LONGEST, shortened
from keras_asgld.runs import tasks

FORMAT = 1
STATUSES = ("running", "finished", "failed")
# The numbers of how well calibrated a run is, by their names in tables and pictures.
CALIBRATION = {
    "accuracy": "test accuracy",
    "negative_log_likelihood": "neg. log-likelihood",
    "brier_score": "Brier score",
    "expected_calibration_error": "calibration error",
    "scrambled_entropy": "entropy, scrambled",
}
# The ranges of these numbers; one of the noise that has none here is not negative.
_CALIBRATION_RANGES = {
    "accuracy": (0, 1),
    "negative_log_likelihood": (0, math.inf),
    "brier_score": (0, 2),
    "expected_calibration_error": (0, 1),
    "scrambled_entropy": (0, math.inf),
}
_NOISE_RANGES = {"mean_share": (0, 1), "variance_share": (0, 1)}
_ROUNDING = 1e-6
# By how many views of a test picture the last weights are judged; one is the picture.
VIEWS = ("1", "2", "6")
# Whose numbers they are.
KINDS = {"last": "last weights", "ensemble": "ensemble"}
_DIAGRAM = {"confidence": (0, 1), "accuracy": (0, 1), "count": (1, math.inf)}
_FIELDS = {
    "status": str,
    "settings": dict,
    "versions": dict,
    "machine": dict,
    "epochs": list,
}
_MISSING = "is missing or of the wrong type"


def part(settings):
    """The part of the data that a run of `settings` (a dict) is judged on."""
    return "validation" if settings.get("validation_size") else "test"


def number_names(settings):
    """The names of an epoch's numbers, for a run of `settings` (a dict).

    A run that held examples out for validation says so in every name. A diverged
    epoch's numbers are null, since JSON has no infinity.
    """
    metric = tasks.score(settings).metric
    judged_on = part(settings)
    return [
        f"{place}_{name}" for place in ("train", judged_on) for name in ("loss", metric)
    ]


def fault(record):
    """Why `record`, as JSON was read, is no record; None if it is one."""
    if not isinstance(record, dict):
        return "not a JSON object"
    if record.get("format") != FORMAT:
        return f"`format` must be {FORMAT}"
    for name, kind in _FIELDS.items():
        if not isinstance(record.get(name), kind):
            return f"`{name}` {_MISSING}"
    if record["status"] not in STATUSES:
        return f"`status` must be one of {', '.join(STATUSES)}"
    found = _settings_fault(record["settings"]) or _epochs_fault(record)
    if not found and "calibration" in record:
        found = _calibration_fault(record["calibration"])
    if not found:
        found = _views_fault(record)
    wanted = record["settings"].get("ensemble")
    if not found and wanted and record["status"] == "finished":
        if "calibration" not in record:
            return "`calibration` is missing, though an ensemble was asked for"
        if record["calibration"]["ensemble"]["members"] != wanted:
            return f"`calibration.ensemble.members` is not {shortened(repr(wanted))}"
    return found


def _settings_fault(settings):
    for name in ("dataset", "model", "optimizer"):
        value = settings.get(name)
        if not isinstance(value, str):
            return f"`settings.{name}` {_MISSING}"
        if name != "model" and len(value) > LONGEST:
            return f"`settings.{name}` is longer than {LONGEST} characters"
    for name in ("seed", "validation_size"):
        value = settings.get(name, 0)
        if type(value) is not int or not 0 <= value < 2**32:
            return f"`settings.{name}` is no integer in [0, 2**32)"
    if not isinstance(settings.get("mixed_precision"), str | None):
        return f"`settings.mixed_precision` {_MISSING}"
    if not isinstance(settings.get("fine_tuning"), dict | None):
        return f"`settings.fine_tuning` {_MISSING}"
    numbers_of_it = settings.get("hyperparameters", {})
    if not isinstance(numbers_of_it, dict):
        return f"`settings.hyperparameters` {_MISSING}"
    for name, value in numbers_of_it.items():
        if not is_number(value):
            return f"`settings.hyperparameters.{name}` is no number"
    return None


def _epochs_fault(record):
    settings, epochs = record["settings"], record["epochs"]
    score = tasks.score(settings)
    results = number_names(settings)
    for i, epoch in enumerate(epochs):
        if not isinstance(epoch, dict) or epoch.get("epoch") != i + 1:
            return f"`epochs[{i}]` is not epoch {i + 1}"
        for name in (*results, "learning_rate", "seconds", "step_seconds"):
            place = f"`epochs[{i}].{name}`"
            if name not in epoch or not (epoch[name] is None or is_number(epoch[name])):
                return f"{place} is missing or no number"
            value = epoch[name]
            if value is None:
                if name in results and record["status"] == "finished":
                    return f"{place} is null, though the run is finished"
            elif name.endswith(f"_{score.metric}"):
                limits = score.lowest, score.highest
                if not limits[0] <= value <= limits[1]:
                    return f"{place} {_outside(limits)}"
            elif not name.endswith("_loss") and value < 0:
                return f"{place} is negative"
        noise = epoch.get("noise", {})
        if not isinstance(noise, dict):
            return f"`epochs[{i}].noise` is of the wrong type"
        for name, value in noise.items():
            place = f"`epochs[{i}].noise.{name}`"
            if value is not None and not is_number(value):
                return f"{place} is no number"
            limits = _NOISE_RANGES.get(name, (0, math.inf))
            if value is not None and not _is_within(value, limits):
                return f"{place} {_outside(limits)}"
    if record["status"] == "finished" and not epochs:
        return "finished with no epochs"
    return None


def _calibration_fault(calibration):
    for kind in KINDS:
        found = calibration.get(kind) if isinstance(calibration, dict) else None
        if not isinstance(found, dict):
            return f"`calibration.{kind}` {_MISSING}"
        for name, limits in _CALIBRATION_RANGES.items():
            place = f"`calibration.{kind}.{name}`"
            if not is_number(found.get(name)):
                return f"{place} is missing or no number"
            if not _is_within(found[name], limits):
                return f"{place} {_outside(limits)}"
        diagram = found.get("reliability")
        if not isinstance(diagram, dict) or not _is_diagram(diagram):
            return f"`calibration.{kind}.reliability` is missing or no such diagram"
    members = calibration["ensemble"].get("members")
    if type(members) is not int or members < 1:
        return "`calibration.ensemble.members` is no positive integer"
    return None


def _views_fault(record):
    found = record.get("views")
    if found is None:
        settings, finished = record["settings"], record["status"] == "finished"
        alternating = settings.get("augment") == "alternating"
        wanted = alternating and finished and not settings.get("validation_size")
        return "`views` is missing, though mirrors alternate" if wanted else None
    if not isinstance(found, dict):
        return "`views` is of the wrong type"
    for name in VIEWS:
        place = f"`views.{name}`"
        if not is_number(found.get(name)):
            return f"{place} is missing or no number"
        if not _is_within(found[name], (0, 1)):
            return f"{place} {_outside((0, 1))}"
    return None


def _is_diagram(diagram):
    columns = [diagram.get(name) for name in _DIAGRAM]
    if not all(isinstance(column, list) and column for column in columns):
        return False
    if len(set(map(len, columns))) > 1:
        return False
    return all(
        is_number(value) and _is_within(value, limits)
        for column, limits in zip(columns, _DIAGRAM.values(), strict=True)
        for value in column
    )


def _is_within(value, limits):
    return limits[0] - _ROUNDING <= value <= limits[1] + _ROUNDING


def _outside(limits):
    return f"is not in [{limits[0]:g}, {limits[1]:g}]"


def is_number(value):
    """Whether it is a number that float32 could have held, as all of a run are."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and -LARGEST_FLOAT32 <= value <= LARGEST_FLOAT32
