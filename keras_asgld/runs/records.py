"""A run's record: one JSON file, written whole, checked when read."""

import dataclasses
import json
import re
from pathlib import Path

from keras_asgld.runs import files, record_contents
from keras_asgld.runs.files import ExperimentError

NAME = "record.json"
# Settings that only older records have, and that no setting of today stands for.
_LEFT = {"unfreeze_factor"}
# Settings in which the optimizers of one table differ.
_OF_AN_OPTIMIZER = ("hyperparameters", "weight_decay_mode", "unfreeze_rate")
_ADVICE = (
    "; remove this file and give again the very command that wrote it, which goes on "
    "from the last checkpoint"
)


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
        record = files.read_json(path, _ADVICE)
    except FileNotFoundError:
        return None
    fault = record_contents.fault(record)
    if fault:
        raise ExperimentError(f"{path}: no record of a run: {fault}{_ADVICE}")
    return record


def find(folder):
    """Every record in `folder`: its own, or those of the runs below it.

    Raises:
        ExperimentError: The folder is missing or holds no record, or one of
            them is corrupt or of a run that was judged on validation data.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            raise ExperimentError(f"no such folder: {folder}")
    except OSError as error:  # a name that is too long
        raise ExperimentError(f"{folder}: {files.reason(error)}") from error
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
    there = _each(record["settings"], settings)
    wanted = _each(settings.to_json(), settings)
    differences = [
        f"{name}={there.get(name)}, not {wanted.get(name)}"
        for name in wanted | there
        if name in wanted.keys() | _LEFT and there.get(name) != wanted.get(name)
    ]
    if differences:
        raise ExperimentError(
            f"{folder} holds a run with {'; '.join(differences)}: "
            "choose another --out_dir or remove it"
        )


def beside(folder, plan, warn):
    """The records of a comparison's folder that belong in its table beside the plan's.

    Those are finished or failed runs of the same task, of other optimizers or seeds.
    All of one optimizer have the same numbers, so that one row holds them.

    Args:
        folder: The comparison's.
        plan: The `Settings` of the runs that are in the table already.
        warn: A function that is told of each record that cannot be read.
    """
    known = {run_folder(folder, settings) for settings in plan}
    of_plan = {each.optimizer: _parted(each.to_json(), each) for each in plan}
    task, _ = of_plan[plan[0].optimizer]
    numbers = {optimizer: own for optimizer, (_, own) in of_plan.items()}
    backend = read(run_folder(folder, plan[0]))["versions"].get("backend")
    found = []
    for path in sorted(Path(folder).glob(f"runs/*/{NAME}")):
        if path.parent in known:
            continue
        try:
            record = read(path.parent)
        except ExperimentError as error:
            warn(f"not in the table: {error}")
            continue
        theirs, own = _parted(record["settings"], plan[0])
        good = (
            record["status"] != "running"
            and record["versions"].get("backend") == backend
            and theirs == task
        )
        if good and numbers.setdefault(record["settings"]["optimizer"], own) == own:
            found.append(record)
    return found


def _parted(values, settings):
    """The settings that the runs of one table share, and those of an optimizer."""
    every = _each(values, settings)
    for name in ("optimizer", "seed", *_LEFT):
        every.pop(name, None)
    own = {name: every.pop(name) for name in _OF_AN_OPTIMIZER if name in every}
    return every, own


def _each(values, settings):
    """The values with those of fine-tuning beside the others.

    A record may be older than a setting, which then had its default in `settings`.
    """
    others = {
        field.name: field.default
        for field in dataclasses.fields(settings)
        if field.default is not dataclasses.MISSING
    } | values
    return others | (others.pop("fine_tuning") or {})


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
