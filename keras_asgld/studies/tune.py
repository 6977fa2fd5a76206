"""The paper's search for a learning rate: a grid that grows while its end is best."""

import dataclasses
import math
import statistics

from keras_asgld.checks import LARGEST_FLOAT32, SMALLEST_FLOAT32, require
from keras_asgld.reports import rate_grid, tables
from keras_asgld.runs import files, tasks, training
from keras_asgld.runs.files import ExperimentError
from keras_asgld.studies import found_rates

RATES = 5  # Wilson et al. 2017, whose protocol the paper follows
FACTOR = math.sqrt(10)
MOST = 11  # rates; where the best stays at an end, the search stops here


def tune(bases, folder, data, progress):
    """Find each optimizer's learning rate on validation data.

    Five rates a factor of √10 apart, about the one in the optimizer's settings, are
    tried; while the best lies at an end the grid grows there by one. Every rate is
    run with every seed, for the same number of epochs. A run that diverges is a
    failure of its rate, not of the search. What is done is not repeated.

    Args:
        bases: A dict of an optimizer's name to its `Settings`, one for each seed,
            with a `validation_size`. Their learning rate is the grid's middle.
        folder: Where everything goes: `trials/…/record.json`, `tuning.json`,
            `table.md` and `grid.png`.
        data: The data set, with the same `validation_size`.
        progress: A `Progress`.

    Returns:
        The title and the rows of the table, and whether the picture was drawn.
    """
    for settings in bases.values():
        _check_middle(settings[0].hyperparameters["learning_rate"])
    with files.new_folder(folder) as folder, files.locked(folder):
        rows = [
            _row(optimizer, settings[0], _trials(settings, folder, data, progress))
            for optimizer, settings in bases.items()
        ]
        title = _title(next(iter(bases.values())))
        found_rates.write(folder, title, rows)
        files.write(folder / "table.md", markdown(rows, title))
        try:
            rate_grid.draw(folder / "grid.png", rows, title)
        except ExperimentError as error:
            progress.warn(str(error))
            return title, rows, False
        return title, rows, True


def _check_middle(rate):
    """Refuse a middle from which the grid could grow beyond float32."""
    require(rate > 0, "learning_rate", rate, "positive", ExperimentError, str)
    for end in (rate * FACTOR**-MOST, rate * FACTOR**MOST):
        good = SMALLEST_FLOAT32 <= end <= LARGEST_FLOAT32
        constraint = "where all rates to try are numbers that float32 holds"
        require(good, "learning_rate", rate, constraint, ExperimentError, str)


def _trials(settings, folder, data, progress):
    """Step of the grid → its rate and its records, one for each of `settings`."""
    trials = {}
    middle = settings[0].hyperparameters["learning_rate"]
    higher = tasks.TASKS[settings[0].dataset].score.higher_is_better
    while (steps := missing(_scores(trials), higher)) and len(trials) < MOST:
        if trials:
            why = "the best rate lies at an end of the grid"
            if best(_scores(trials), higher) is None:
                why = "every rate diverged"
            progress.extend(
                len(settings) * len(steps), f"{settings[0].optimizer}: {why}"
            )
        for step in steps:
            rate = rate_at(middle, step)
            trials[step] = (
                rate,
                [_trial(each, rate, folder, data, progress) for each in settings],
            )
    return trials


def rate_at(middle, step):
    """The grid's rate so many steps from its middle, in at most four digits."""
    rate = middle * FACTOR**step
    # A middle of 0.003162 stands for 10**-2.5, whose neighbour is 0.001, not 0.0009999.
    near = 10 ** (round(2 * math.log10(rate)) / 2)
    if math.isclose(rate, near, rel_tol=5e-4):
        rate = near
    return float(f"{rate:.4g}")


def missing(scores, higher_is_better=True):
    """The steps of the grid to be tried next; none when the search is over.

    Args:
        scores: A dict of a step (0 is the grid's middle) to its number, or None where
            a run diverged.
        higher_is_better: Whether a larger number is a better one.
    """
    if not scores:
        return [i - RATES // 2 for i in range(RATES)]
    low, high = min(scores), max(scores)
    step = best(scores, higher_is_better)
    if step is None or step == low:  # too large a rate diverges, never too small
        return [low - 1]
    return [high + 1] if step == high else []


def best(scores, higher_is_better=True):
    """The step with the best number, the smaller of equals; None if all failed."""
    alive = {step: score for step, score in scores.items() if score is not None}
    choose = max if higher_is_better else min
    return choose(sorted(alive), key=alive.get, default=None)


def _trial(settings, rate, folder, data, progress):
    values = {**settings.hyperparameters, "learning_rate": rate}
    settings = dataclasses.replace(settings, hyperparameters=values)
    place = folder / "trials" / f"{settings.optimizer}-rate{rate:g}-seed{settings.seed}"
    progress.note(f"{settings.optimizer} at learning rate {rate:g}")
    return training.run(settings, place, data, progress)


def _of_each_seed(records):
    """A number for each run that finished."""
    return [
        tables.last(record, f"validation_{tasks.score(record['settings']).metric}")
        for record in records
        if record["status"] == "finished"
    ]


def _scores(trials):
    """Step → mean score on validation data; None where any seed's run diverged."""
    return {
        step: statistics.fmean(_of_each_seed(records))
        if all(record["status"] == "finished" for record in records)
        else None
        for step, (_, records) in trials.items()
    }


def _row(optimizer, settings, trials):
    score = tasks.TASKS[settings.dataset].score
    scores = _scores(trials)
    step = best(scores, score.higher_is_better)
    # The temperature depends on the number of examples, which is smaller in tuning.
    found = {
        name: value
        for name, value in settings.hyperparameters.items()
        if name != "temperature"
    }
    return {
        "optimizer": optimizer,
        "task": [settings.dataset, settings.model],
        "tuned": None if step is None else found | {"learning_rate": trials[step][0]},
        "rates": [
            {
                "learning_rate": trials[step][0],
                f"validation_{score.metric}": scores[step],
                "of_each_seed": _of_each_seed(trials[step][1]),
                "failed": sum(r["status"] == "failed" for r in trials[step][1]),
            }
            for step in sorted(trials)
        ],
        "at_an_end": step is None or step in (min(trials), max(trials)),
    }


def _title(settings):
    first = settings[0]
    names = ", ".join(dict.fromkeys([first.dataset, first.model]))
    seeds = f", {len(settings)} seeds" if len(settings) > 1 else ""
    epochs = f"{first.epochs} epoch{'s' if first.epochs > 1 else ''}"
    title = tasks.TASKS[first.dataset].score.title
    return (
        f"{names}, {epochs}{seeds}: {title} on {first.validation_size} "
        f"validation examples, "
        f"{tables.mean_of_last_epochs(first.epochs, first.schedule)}"
    )


def table(rows, between=", "):
    """Header and lines: an optimizer's rates and scores, the best marked.

    `between` stands between a rate's score and the next rate.
    """
    lines = []
    score = tasks.TASKS[rows[0]["task"][0]].score
    for row in rows:
        chosen = row["tuned"] and row["tuned"]["learning_rate"]
        cells = []
        for trial in row["rates"]:
            text = score.text(trial[f"validation_{score.metric}"])
            mark = "*" if trial["learning_rate"] == chosen else ""
            cells.append(f"{trial['learning_rate']:g}: {text}{mark}")
        best_rate = "none" if chosen is None else f"{chosen:g}"
        lines.append([row["optimizer"], best_rate, between.join(cells)])
    found = f"validation {score.title} by learning rate"
    return ["optimizer", "best rate", found], lines


def markdown(rows, title):
    header, lines = table(rows)
    return tables.markdown_table(header, lines, title)
