"""The table at the end: each optimizer's numbers over its seeds."""

import statistics

from rich import box
from rich.table import Table

from keras_asgld.runs import tasks
from keras_asgld.runs.record_contents import VIEWS

LAST_EPOCHS = 3
_VIEWS = [name for name in VIEWS if name != "1"]  # which the test accuracy is


def summarize(records):
    """One row for each optimizer, in the order in which they come.

    A run's number is the mean of its last epochs (three, or all where there are
    fewer; the last alone where the rate falls to the end), never its best: choosing an
    epoch by its test score would bias it. A row holds the mean and the standard
    deviation (n - 1) over the seeds of the runs that finished; failed ones are counted
    separately.

    Returns:
        A list of dicts: `optimizer`, `hyperparameters`, `finished`, `failed`, for
        each of `test_METRIC`, `test_loss` and `train_METRIC` a dict of `mean` and
        `std` (None where there are too few runs), and `step_seconds`, the
        median over all epochs; `views`, such dicts by the number of views of each test
        picture, where runs were judged by several. METRIC is the task's, such as
        `accuracy`.
    """
    groups = {}
    for record in records:
        groups.setdefault(record["settings"]["optimizer"], []).append(record)
    return [_row(optimizer, group) for optimizer, group in groups.items()]


def _row(optimizer, records):
    finished = [r for r in records if r["status"] == "finished"]
    row = {
        "optimizer": optimizer,
        "hyperparameters": records[0]["settings"].get("hyperparameters", {}),
        "finished": len(finished),
        "failed": sum(record["status"] == "failed" for record in records),
    }
    for name in _numbers(tasks.score(records[0]["settings"])):
        row[name] = _over([last(record, name) for record in finished])
    if any("views" in record for record in records):
        seen = [record["views"] for record in finished if "views" in record]
        row["views"] = {name: _over([found[name] for found in seen]) for name in _VIEWS}
    steps = [epoch["step_seconds"] for r in records for epoch in r["epochs"]]
    steps = [step for step in steps if step is not None]
    row["step_seconds"] = statistics.median(steps) if steps else None
    return row


def _over(values):
    """Mean and standard deviation of numbers, None where there are too few."""
    return {
        "mean": statistics.fmean(values) if values else None,
        "std": statistics.stdev(values) if len(values) > 1 else None,
    }


def _numbers(score):
    return f"test_{score.metric}", "test_loss", f"train_{score.metric}"


def seeds(records):
    """How many different seeds the runs have."""
    return len({record["settings"].get("seed") for record in records})


def last(record, name):
    """The mean of the number `name` over the record's last epochs."""
    count = _last_epochs(record["settings"].get("schedule"))
    return statistics.fmean(e[name] for e in record["epochs"][-count:])


def _last_epochs(schedule):
    # While the rate falls, each epoch is better than the one before.
    return 1 if schedule == "triangle" else LAST_EPOCHS


def of_last_epochs(count, schedule="steps"):
    """What a number of a run of `count` epochs is the mean of, in words."""
    last = min(_last_epochs(schedule), count)
    return f"the last {last} epochs" if last > 1 else "the last epoch"


def mean_of_last_epochs(count, schedule="steps", over_seeds=False):
    """What a number of a table is, in words."""
    mean = "mean ± std of " if over_seeds else "mean of "
    alone = min(_last_epochs(schedule), count) == 1 and not over_seeds
    return ("" if alone else mean) + of_last_epochs(count, schedule)


def rich_cells(header, lines, title, folds=0):
    """Cells as a table for the terminal.

    With one fold a name of a column stands on several lines, with two what is below
    it does, too.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    if folds:
        table.collapse_padding, table.pad_edge, table.show_edge = True, False, False
        header = [name.replace(" ", "\n").replace("-", "-\n") for name in header]
    if folds > 1:
        lines = [[_folded(cell) for cell in line] for line in lines]
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def _folded(cell):
    is_text = not any(map(str.isdigit, cell))
    return cell.replace(" ", "\n") if is_text else cell.replace(" ± ", "\n±")


def markdown(rows, title, score):
    """The rows as a Markdown table under its title."""
    return markdown_table(*cells(rows, score), title)


def markdown_table(header, lines, title):
    """Cells as a Markdown table under its title; the first column stands left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    table = [header, rule, *lines]
    text = "\n".join("| " + " | ".join(line) + " |" for line in table)
    return f"{title}\n\n{text}\n"


def cells(rows, score):
    """The table's header and lines, as text; `score` is the task's."""
    titles = f"test {score.title}", "test loss", f"train {score.title}"
    views = _VIEWS if any("views" in row for row in rows) else []
    titles = titles[0], *(f"by {name} views" for name in views), *titles[1:]
    header = ["optimizer", *titles, "time a step", "runs"]
    test, loss, train = _numbers(score)
    return header, [
        [
            row["optimizer"],
            _spread(row[test], score.scale, score.unit, score.digits),
            *(_view(row, name, score) for name in views),
            _spread(row[loss], 1, "", 4),
            _spread(row[train], score.scale, score.unit, score.digits),
            _duration(row["step_seconds"]),
            _runs(row),
        ]
        for row in rows
    ]


def _view(row, name, score):
    if "views" not in row:
        return "–"
    return _spread(row["views"][name], score.scale, score.unit, score.digits)


def _spread(number, scale, unit, digits):
    if number["mean"] is None:
        return "–"
    text = f"{scale * number['mean']:.{digits}f}"
    if number["std"] is not None:
        text += f" ± {scale * number['std']:.{digits}f}"
    return text + unit


def _duration(seconds):
    if seconds is None:
        return "–"
    # Three digits of milliseconds would be written with a power of ten.
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _runs(row):
    text = str(row["finished"])
    return f"{text}, {row['failed']} failed" if row["failed"] else text
