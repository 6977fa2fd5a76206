"""A run's record: one JSON file, written whole, checked when read."""

import dataclasses
import json
import math
import numbers
import re
from pathlib import Path

from keras_asgld.runs import files, tasks
from keras_asgld.runs.files import ExperimentError

NAME = "record.json"
FORMAT = 1
STATUSES = ("running", "finished", "failed")
_FIELDS = {
    "status": str,
    "settings": dict,
    "versions": dict,
    "machine": dict,
    "epochs": list,
}


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


def write(folder, record):
    """Write `record` (a dict) as `folder/record.json`, in one step."""
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    files.write(Path(folder) / NAME, text)


def read(folder):
    """The record in `folder`, or None where there is none.

    Raises:
        ExperimentError: The file cannot be read or is no whole record; the
            message names the file and the fault.
    """
    path = Path(folder) / NAME
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExperimentError(f"{path}: {files.reason(error)}") from error
    except ValueError as error:
        raise ExperimentError(
            f"{path}: no whole JSON ({error}); remove this file and give again the "
            "very command that wrote it, which goes on from the last checkpoint"
        ) from error
    fault = _fault(record)
    if fault:
        raise ExperimentError(f"{path}: no record of a run: {fault}")
    return record


def find(folder):
    """Every record in `folder`: its own, or those of the runs below it.

    Raises:
        ExperimentError: The folder is missing or holds no record, or one of
            them is corrupt or of a run that was judged on validation data.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ExperimentError(f"no such folder: {folder}")
    paths = sorted(folder.glob(NAME)) or sorted(folder.glob(f"runs/*/{NAME}"))
    if not paths:
        raise ExperimentError(f"no records in {folder}")
    found = [read(path.parent) for path in paths]
    if any(record["settings"].get("validation_size") for record in found):
        raise ExperimentError(f"{folder} holds runs of tune, which saw no test set")
    return found


def run_folder(folder, settings):
    """The path of a run, within the folder of its comparison."""
    name = re.sub(r"[^\w.=]+", "-", settings.optimizer).strip("-")
    return Path(folder) / "runs" / f"{name}-seed{settings.seed}"


def check_same(folder, record, settings):
    """Refuse to go on with, or to overwrite, a run that was asked for otherwise.

    Raises:
        ExperimentError: `record`, read in `folder`, has other settings.
    """
    if record is None:
        return
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(settings)
        if field.default is not dataclasses.MISSING
    }
    # A record may be older than a setting, which then had its default.
    there = defaults | record["settings"]
    differences = [
        f"{name}={there.get(name)}, not {value}"
        for name, value in settings.to_json().items()
        if there.get(name) != value
    ]
    if differences:
        raise ExperimentError(
            f"{folder} holds a run with {'; '.join(differences)}: "
            "choose another --out_dir or remove it"
        )


def check_backend(folder, record, backend):
    """Refuse to take another backend's numbers for this one's.

    Raises:
        ExperimentError: `record`, read in `folder`, was made on another backend.
    """
    made_on = record["versions"].get("backend", backend) if record else backend
    if made_on != backend:
        raise ExperimentError(
            f"{folder} holds a run made on {made_on}, not {backend}: "
            "choose another --out_dir or remove it"
        )


def _fault(record):
    """Why `record` is no record, or None if it is one."""
    if not isinstance(record, dict):
        return "not a JSON object"
    if record.get("format") != FORMAT:
        return f"`format` must be {FORMAT}"
    for name, kind in _FIELDS.items():
        if not isinstance(record.get(name), kind):
            return f"`{name}` is missing or of the wrong type"
    if record["status"] not in STATUSES:
        return f"`status` must be one of {', '.join(STATUSES)}"
    for name in ("dataset", "model", "optimizer"):
        if not isinstance(record["settings"].get(name), str):
            return f"`settings.{name}` is missing or of the wrong type"
    known = number_names(record["settings"])
    for i, epoch in enumerate(record["epochs"]):
        if not isinstance(epoch, dict) or epoch.get("epoch") != i + 1:
            return f"`epochs[{i}]` is not epoch {i + 1}"
        for name in (*known, "learning_rate", "seconds", "step_seconds"):
            if name not in epoch or not _is_number(epoch[name]):
                return f"`epochs[{i}].{name}` is missing or no number"
    if record["status"] == "finished" and not record["epochs"]:
        return "finished with no epochs"
    return None


def _is_number(value):
    if value is None:
        return True
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
