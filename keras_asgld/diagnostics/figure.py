"""A picture of chains: their traces, and the ranks of their draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_asgld.checks import check_integer
from keras_asgld.diagnostics import draws as arrays
from keras_asgld.diagnostics.convergence import convergence
from keras_asgld.diagnostics.library import INSTALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 20


def figure(draws: arrays.Draws, quantities: int = 4) -> Figure:
    """Draws the traces and the ranks of the quantities of the largest R-hat.

    Where chains agree, their traces lie over each other, and the ranks of each among
    the draws of all are spread evenly: the bars of each chain reach the dashed line.

    ```python
    import numpy as np
    from keras_asgld import diagnostics

    draws = {"loss": np.random.default_rng(0).normal(size=(4, 500))}
    diagnostics.figure(draws).savefig("chains.png")
    ```

    Args:
        draws: As in `convergence`.
        quantities: An integer >= 1, how many at most. Defaults to `4`.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.

    Raises:
        ImportError: If ArviZ or matplotlib is not installed.
        ValueError: As in `convergence`, or if `quantities` is no integer >= 1.
    """
    check_integer("quantities", quantities, 1)
    by_name = arrays.checked(draws)
    found = convergence(by_name)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`keras_asgld.diagnostics.figure` needs matplotlib, which cannot be "
            f"imported: {INSTALL}"
        ) from error
    chosen = _worst(found.rhat, quantities)
    picture = Figure(figsize=(9, 1 + 2 * len(chosen)), layout="constrained")
    FigureCanvasAgg(picture)
    rows = picture.subplots(len(chosen), 2, squeeze=False, width_ratios=[3, 2])
    for (trace, ranks), (name, index) in zip(rows, chosen, strict=True):
        values = by_name[name][(slice(None), slice(None), *index)]
        _draw_trace(trace, values)
        _draw_ranks(ranks, values)
        rhat = found.rhat[name][index]
        words = "constant" if np.isnan(rhat) else f"R-hat {rhat:.3f}"
        title = f"{arrays.label(name, index)}, {words}".replace("$", r"\$")
        trace.set_title(title, loc="left", fontsize=10)
    rows[-1, 0].set_xlabel("draw")
    rows[-1, 1].set_xlabel("rank among the draws of all chains")
    return picture


def _worst(rhat, quantities):
    """(name, index) of each, the largest R-hat first; constant ones come last."""
    found = [
        (name, index)
        for name, values in rhat.items()
        for index in np.ndindex(values.shape)
    ]
    sizes = np.array([rhat[name][index] for name, index in found])
    sizes = np.where(np.isnan(sizes), -np.inf, sizes)
    return [found[i] for i in np.argsort(-sizes, kind="stable")[:quantities]]


def _draw_trace(axes, values):
    for chain, series in enumerate(values):
        axes.plot(series, color=f"C{chain % 10}", linewidth=0.7, alpha=0.8)
    axes.margins(x=0)


def _draw_ranks(axes, values):
    from scipy import stats

    ranks = stats.rankdata(values).reshape(values.shape)
    edges = np.linspace(0.5, values.size + 0.5, BINS + 1)
    even = values.shape[1] / BINS
    for chain, each in enumerate(ranks):
        counts, _ = np.histogram(each, edges)
        # A chain's bars are no higher than the room above its own line.
        heights = np.minimum(counts / (2 * even), 0.95)
        colour = f"C{chain % 10}"
        axes.bar(edges[:-1], heights, np.diff(edges), chain, align="edge", color=colour)
        axes.axhline(chain + 0.5, color="0.3", linewidth=0.8, linestyle="--")
    axes.set_yticks(np.arange(len(ranks)) + 0.25, [f"{c}" for c in range(len(ranks))])
    axes.set_ylabel("chain")
    axes.margins(x=0)
