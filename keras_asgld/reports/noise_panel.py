"""The noise of monitored runs, drawn under their learning curves."""

import numpy as np

from keras_asgld.reports import drawing

PANELS = {
    "noise_to_gradient": "noise, in gradient steps",
    "temperature": "temperature",
}


def present(records):
    """Whether any of the runs was monitored."""
    return any("noise" in epoch for record in records for epoch in record["epochs"])


def draw(ax, lines, name):
    """One panel: the number `name` against epochs, the geometric mean over seeds.

    Args:
        ax: Matplotlib axes.
        lines: A dict of an optimizer's name to its colour, its dashes and the epochs
            of its runs; those that were not monitored are left out.
        name: A key of `PANELS`.
    """
    for optimizer, (colour, dash, runs) in lines.items():
        rows = [[epoch.get("noise", {}).get(name) for epoch in run] for run in runs]
        longest = max(map(len, rows), default=0)
        table = np.full((len(rows), longest), np.nan)
        for line, values in zip(table, rows, strict=True):
            # No logarithm of zero, nor of an epoch without a number.
            line[: len(values)] = [
                value if value and value > 0 else np.nan for value in values
            ]
        known = np.isfinite(table).any(0)
        if not known.any():
            continue
        mean = np.exp(np.nanmean(np.log(table[:, known]), axis=0))
        ax.plot(
            1 + np.flatnonzero(known),
            mean,
            color=colour,
            linestyle=dash,
            marker="." if len(mean) == 1 else None,
            linewidth=1.9,
            label=drawing.plain(optimizer, 30),
        )
    if name == "temperature":  # which falls by decades with the learning rate
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:.0e}")
    else:
        ax.set_ylim(0, None)
        ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(frameon=False, fontsize=9)
