"""Published learning curves, from a CSV file."""

import csv
import math

from keras_asgld.runs import files
from keras_asgld.runs.files import ExperimentError

COLUMNS = (
    "source",
    "model",
    "optimizer",
    "settings",
    "epoch",
    "train_accuracy",
    "test_accuracy",
)
_PANELS = COLUMNS[-2:]
# Momentum SGD goes by the name of SGD in the literature.
_OURS = "momentum"


def read(path):
    """Model → curve's name → panel → percentages, epoch by epoch.

    The file has a header of `COLUMNS` and a line for each epoch of each curve, the
    epochs of a curve rising from 1, the accuracies in percent. A curve is called by
    its optimizer and source; `sgd` with a momentum in its settings is `momentum`.

    Raises:
        ExperimentError: The file cannot be read or is of another form; the message
            names the line.
    """
    table = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file, strict=True)
            if tuple(lines.fieldnames or ()) != COLUMNS:
                raise ExperimentError(f"{path}: the header must be {','.join(COLUMNS)}")
            for line in lines:
                _add(table, line, f"{path}, line {lines.line_num}")
    except OSError as error:
        raise ExperimentError(f"{path}: {files.reason(error)}") from error
    except (csv.Error, ValueError) as error:
        raise ExperimentError(f"{path}: no CSV file: {error}") from error
    if not table:
        raise ExperimentError(f"{path}: no curves in it")
    return table


def of_model(table, model, path):
    """The curves of `model` in a table that `read` returned."""
    if model not in table:
        raise ExperimentError(
            f"{path}: no curves of {model} (there are {', '.join(sorted(table))})"
        )
    return table[model]


def _add(table, line, place):
    # DictReader files surplus cells under None and gives None for missing ones.
    if None in line or None in line.values():
        raise ExperimentError(f"{place}: it must have {len(COLUMNS)} cells")
    name = line["optimizer"]
    if name == "sgd" and "momentum" in line["settings"]:
        name = _OURS
    curve = table.setdefault(line["model"], {}).setdefault(
        f"{name} ({line['source']})", {panel: [] for panel in _PANELS}
    )
    wanted = len(curve[_PANELS[0]]) + 1
    if line["epoch"] != str(wanted):
        raise ExperimentError(
            f"{place}: `epoch` must be {wanted}. Received: epoch={line['epoch']}"
        )
    for panel in _PANELS:
        curve[panel].append(_percentage(panel, line[panel], place))


def _percentage(panel, text, place):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise ExperimentError(
            f"{place}: `{panel}` must be in [0, 100]. Received: {panel}={text}"
        )
    return value
