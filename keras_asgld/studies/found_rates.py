"""What `tune` found, in a file that `compare` reads."""

import json
import math
from pathlib import Path

from keras_asgld.runs import files
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError

NAME = "tuning.json"
FORMAT = 1


def write(folder, title, rows):
    """Write the title and `tune.tune`'s rows as `folder/tuning.json`."""
    content = {"format": FORMAT, "title": title, "rows": rows}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    files.write(Path(folder) / NAME, text)


def read(folder, dataset, model):
    """What was found in `folder`: optimizer → its hyperparameters as tuned.

    Raises:
        ExperimentError: There is no whole result of tuning this model on this data
            set.
    """
    path = Path(folder) / NAME
    try:
        content = files.read_json(path)
    except FileNotFoundError as error:
        raise ExperimentError(
            "`--tuned` must be a folder that `tune` wrote. Received: "
            f"--tuned={folder}, {path}: {files.reason(error)}"
        ) from error
    try:
        if content["format"] != FORMAT:
            raise ValueError
        found = {row["optimizer"]: _tuned(row) for row in content["rows"]}
        if len(found) < len(content["rows"]):
            raise ValueError
        tasks = [tuple(map(str, row["task"])) for row in content["rows"]]
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
        raise ExperimentError(f"{path}: no result of tune") from error
    for task in tasks:
        if task != (dataset, model):
            raise ExperimentError(
                f"{path} was tuned on {', '.join(task)}, not on {dataset}, {model}"
            )
    return found


def _tuned(row):
    """An optimizer's hyperparameters by name; none where every rate diverged."""
    known = named.ALL[row["optimizer"]].hyperparameters
    if row["tuned"] is None:
        return {}
    values = {name: float(value) for name, value in row["tuned"].items()}
    good = "learning_rate" in values and values.keys() <= known.keys()
    if not good or not all(map(math.isfinite, values.values())):
        raise ValueError
    return values
