"""Last weights beside ensembles: the second table of a comparison, and its figure."""

import statistics

import numpy as np

from keras_asgld.reports import drawing, tables
from keras_asgld.runs.record_contents import CALIBRATION, KINDS

FIGURE = "reliability.png"
BINS = 10
FEWEST = 20  # examples in one


def summarize(records):
    """A row for each optimizer and kind, over the seeds of the finished runs.

    Returns:
        A list of dicts: `optimizer`, `kind`, `runs`, and for each number of
        `CALIBRATION` a dict of `mean` and `std` (None for a single run).
    """
    rows = []
    for (optimizer, kind), numbers in _by_optimizer(records).items():
        row = {"optimizer": optimizer, "kind": kind, "runs": len(numbers)}
        for name in CALIBRATION:
            values = [each[name] for each in numbers]
            std = statistics.stdev(values) if len(values) > 1 else None
            row[name] = {"mean": statistics.fmean(values), "std": std}
        rows.append(row)
    return rows


def title(records):
    members = {
        record["calibration"]["ensemble"]["members"]
        for record in records
        if "calibration" in record
    }
    text = "/".join(map(str, sorted(members)))
    spread = ": mean ± std of seeds" if tables.seeds(records) > 1 else ""
    return f"last weights, and ensembles of the last {text} epochs{spread}"


def cells(rows):
    """The table as text: its header and its lines."""
    header = ["optimizer", "weights", *CALIBRATION.values(), "runs"]
    lines = []
    for row in rows:
        numbers = [
            _spread(row[name], 100, " %", 2)
            if name in ("accuracy", "expected_calibration_error")
            else _spread(row[name], 1, "", 4)
            for name in CALIBRATION
        ]
        kind = KINDS[row["kind"]]
        lines.append([row["optimizer"], kind, *numbers, str(row["runs"])])
    return header, lines


def draw(path, records):
    """Draw the reliability diagrams of all seeds together, a panel for each optimizer.

    Raises:
        ExperimentError: matplotlib is missing, or the file cannot be written.
    """
    groups = {}
    for (optimizer, kind), numbers in _by_optimizer(records).items():
        groups.setdefault(optimizer, {})[kind] = [f["reliability"] for f in numbers]
    figure = drawing.canvas(3.6 * len(groups), 4.4)
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for ax, (optimizer, kinds) in zip(axes, groups.items(), strict=True):
        ax.plot([0, 1], [0, 1], color="#B0B4BA", linewidth=1, zorder=1)
        for (kind, diagrams), colour in zip(
            kinds.items(), ("#D55E00", "#0072B2"), strict=True
        ):
            confidence, accuracy, count = _merged(diagrams)
            ax.plot(confidence, accuracy, color=colour, linewidth=1, zorder=2)
            ax.scatter(
                confidence,
                accuracy,
                s=8 + 150 * count / count.sum(),
                color=colour,
                linewidth=0,
                label=KINDS[kind],
                zorder=3,
            )
        ax.set_title(
            drawing.plain(optimizer, 30), loc="left", fontsize=11.5, fontweight="bold"
        )
        ax.set_xlabel("confidence (probability of the class)")
        ax.set_xlim(-0.03, 1.03)
        ax.set_ylim(-0.03, 1.03)
        ax.set_box_aspect(1)
        words = {"fontsize": 8.5, "color": drawing.GREY}
        ax.text(0.98, 0.04, "overconfident\nbelow the line", ha="right", **words)
    axes[0].set_ylabel("accuracy (share that is right)")
    legend = axes[0].legend(frameon=False, fontsize=9, loc="upper left")
    for handle in legend.legend_handles:
        handle.set_sizes([40])
    drawing.caption(
        figure,
        f"Test set, all seeds; bins of at least {FEWEST} examples, area: how many",
    )
    drawing.save(figure, path)


def _merged(diagrams):
    """Confidence, accuracy and count of the bins of all diagrams together, put in few.

    A bin of a few examples lies anywhere, so it is put together with the next ones.
    """
    columns = ("confidence", "accuracy", "count")
    confidence, accuracy, count = (
        np.concatenate([diagram[name] for diagram in diagrams]) for name in columns
    )
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for low in range(BINS - 1):
        if count[place == low].sum() < FEWEST:
            place[place == low] = low + 1
    total = np.bincount(place, count, BINS)
    found = total > 0
    means = (
        np.bincount(place, count * numbers, BINS)[found] / total[found]
        for numbers in (confidence, accuracy)
    )
    return *means, total[found]


def _by_optimizer(records):
    groups = {}
    for record in records:
        if record["status"] == "finished" and "calibration" in record:
            for kind in KINDS:
                key = record["settings"]["optimizer"], kind
                groups.setdefault(key, []).append(record["calibration"][kind])
    return groups


def _spread(number, scale, unit, digits):
    text = f"{scale * number['mean']:.{digits}f}"
    if number["std"] is not None:
        text += f" ± {scale * number['std']:.{digits}f}"
    return text + unit
