"""The main job: several optimizers and seeds on one task, a table and a picture."""

import json

from keras_asgld.reports import curves, ensembles, epoch_table, points, tables
from keras_asgld.runs import files, records, tasks, training
from keras_asgld.runs.files import ExperimentError

FIGURE = "curves.png"


def compare(plan, folder, data, progress, recipe=None, tensorboard=False):
    """Do every run of `plan` that is not done yet; write table and picture.

    The runs of one seed have the same initial weights and the same batches. Runs of
    the same task that stand in the folder from before are in table and picture too.

    Args:
        plan: A list of `Settings` of one task, in the order of the runs.
        folder: Where everything goes: `runs/OPTIMIZER-seedN/record.json`,
            `summary.json`, `table.md`, `epochs.csv` and `curves.png`; with ensembles
            `reliability.png`.
        data: The data set, as `keras_asgld.data.load` returns it.
        progress: A `Progress`.
        recipe: The `Recipe` that the plan is of, if any, which says what is drawn.
        tensorboard: Whether each run's folder gets event files.

    Returns:
        The table's title and rows, as `tables.summarize` gives them, and header,
        lines and title of the ensembles' table, or None where there is none; whether
        the pictures were drawn.
    """
    with files.new_folder(folder) as folder, files.locked(folder):
        results = [
            training.run(
                settings,
                records.run_folder(folder, settings),
                data,
                progress,
                tensorboard=tensorboard,
            )
            for settings in plan
        ]
        results += records.beside(folder, plan, progress.warn)
        return _report(results, folder, progress, recipe)


def _report(results, folder, progress, recipe):
    """Write tables and pictures of the records; returns what `compare` does."""
    rows = tables.summarize(results)
    title = _describe(results)
    found = {"title": title, "rows": rows}
    score = tasks.score(results[0]["settings"])
    table = tables.markdown(rows, title, score)
    calibrated = None
    if any("calibration" in record for record in results):
        found["ensembles"] = ensembles.summarize(results)
        calibrated = *ensembles.cells(found["ensembles"]), ensembles.title(results)
        table += "\n" + tables.markdown_table(*calibrated)
    text = json.dumps(found, indent=1, allow_nan=False)
    files.write(folder / "summary.json", text + "\n")
    files.write(folder / "table.md", table)
    files.write(folder / epoch_table.NAME, epoch_table.text(results))
    try:
        if calibrated:
            ensembles.draw(folder / ensembles.FIGURE, results)
        _draw(folder, results, recipe)
    except ExperimentError as error:
        progress.warn(str(error))
        return title, rows, calibrated, False
    return title, rows, calibrated, True


def _draw(folder, results, recipe):
    if recipe is not None and recipe.points:
        points.draw(folder / "points.png", results, _trained(results))
        return
    clock = recipe is not None and recipe.clock
    for name, optimizers in (recipe and recipe.curves or {FIGURE: None}).items():
        shown = [
            record
            for record in results
            if optimizers is None or record["settings"]["optimizer"] in optimizers
        ]
        curves.draw(folder / name, {curves.describe(shown): shown}, clock=clock)


def _describe(results):
    """The table's title: the task, and what its numbers are."""
    settings = results[0]["settings"]
    schedule = settings["epochs"], settings.get("schedule")
    mean = tables.mean_of_last_epochs(*schedule, over_seeds=tables.seeds(results) > 1)
    epochs, last = tables.of_last_epochs(*schedule), tables.of_last_epochs(1)
    judged = any("views" in record for record in results) and epochs != last
    views = f", by views of {last}" if judged else ""
    return f"{_trained(results)}: {mean}{views}"


def _trained(results):
    count = results[0]["settings"]["epochs"]
    return f"{curves.describe(results)}, {count} epoch{'s' if count > 1 else ''}"
