"""The table at the end: each optimizer's figures over its seeds."""

import statistics

from rich import box
from rich.table import Table

LAST_EPOCHS = 3
_COLUMNS = {
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "train_accuracy": "train accuracy",
}


def summarize(records):
    """One row for each optimizer, in the order in which they come.

    A run's figure is the mean of its last epochs (three, or all where there are
    fewer), never its best: choosing an epoch by its test figures would bias it. A
    row holds the mean and the standard deviation (n - 1) over the seeds of the
    runs that finished; failed ones are counted beside it.

    Returns:
        A list of dicts: `optimizer`, `hyperparameters`, `finished`, `failed`, for
        each of `test_accuracy`, `test_loss` and `train_accuracy` a dict of `mean`
        and `std` (None where there is nothing to take it of), and `step_seconds`,
        the median over all epochs.
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
    for name in _COLUMNS:
        values = [last(record, name) for record in finished]
        row[name] = {
            "mean": statistics.fmean(values) if values else None,
            "std": statistics.stdev(values) if len(values) > 1 else None,
        }
    steps = [epoch["step_seconds"] for r in records for epoch in r["epochs"]]
    steps = [step for step in steps if step is not None]
    row["step_seconds"] = statistics.median(steps) if steps else None
    return row


def seeds(records):
    """How many different seeds the runs have."""
    return len({record["settings"].get("seed") for record in records})


def last(record, name):
    """The mean of figure `name` over the record's last epochs."""
    return statistics.fmean(e[name] for e in record["epochs"][-LAST_EPOCHS:])


def rich_cells(header, lines, title):
    """Cells as a table for the terminal."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def markdown(rows, title):
    """The rows as a Markdown table under its title."""
    return markdown_table(*cells(rows), title)


def markdown_table(header, lines, title):
    """Cells as a Markdown table under its title; the first column stands left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    table = [header, rule, *lines]
    text = "\n".join("| " + " | ".join(line) + " |" for line in table)
    return f"{title}\n\n{text}\n"


def cells(rows):
    """The table's header and lines, as text."""
    header = ["optimizer", *_COLUMNS.values(), "time a step", "runs"]
    return header, [
        [
            row["optimizer"],
            _spread(row["test_accuracy"], 100, " %", 2),
            _spread(row["test_loss"], 1, "", 4),
            _spread(row["train_accuracy"], 100, " %", 2),
            _milliseconds(row["step_seconds"]),
            _runs(row),
        ]
        for row in rows
    ]


def _spread(figure, scale, unit, digits):
    if figure["mean"] is None:
        return "–"
    text = f"{scale * figure['mean']:.{digits}f}"
    if figure["std"] is not None:
        text += f" ± {scale * figure['std']:.{digits}f}"
    return text + unit


def _milliseconds(seconds):
    return "–" if seconds is None else f"{1000 * seconds:.3g} ms"


def _runs(row):
    text = str(row["finished"])
    return f"{text}, {row['failed']} failed" if row["failed"] else text
