"""What all figures share: the canvas, the colours, the quiet axes."""

import io
from pathlib import Path

from keras_asgld.checks import shortened
from keras_asgld.runs import files
from keras_asgld.runs import optimizers as named
from keras_asgld.runs.files import ExperimentError

# Okabe and Ito's palette, which colour-blind readers can tell apart; its yellow
# and black are left out (too pale on white, and the colour of the axes).
COLOURS = ("#D55E00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
GREY = "#5F6368"
LONGEST_TEXT = 100
TITLE = {"loc": "left", "fontsize": 11.5, "fontweight": "bold"}


def canvas(width, height):
    """An empty figure, its sides in inches, which needs no display.

    Raises:
        ExperimentError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExperimentError(
            "no figure drawn: matplotlib is missing; pip install matplotlib"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def check(path):
    """Refuse a figure's `path` whose ending matplotlib cannot write.

    Raises:
        ExperimentError: The ending is none of matplotlib's, or matplotlib is missing.
    """
    endings = sorted(canvas(1, 1).canvas.get_supported_filetypes())
    if _ending(path) not in endings:
        raise ExperimentError(
            f"`out` must end in one of {', '.join('.' + e for e in endings)}. "
            f"Received: out={path}"
        )


def save(figure, path):
    """Write the figure in the format of the path's ending, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=_ending(path), dpi=160)
    # Python 3.12.1 crashes if the collector finds a view that a failed write left.
    with buffer.getbuffer() as content:
        files.write(path, [content])


def _ending(path):
    return Path(path).suffix.removeprefix(".").lower()


def plain(text, longest=LONGEST_TEXT):
    """The text so that matplotlib draws it as it is, on one line and on the canvas.

    A `$` would begin a formula, and half a character (a lone surrogate, which the name
    of a folder may hold, and a record) has no picture.
    """
    text = text.encode(errors="replace").decode()
    text = "".join(each if each.isprintable() else "?" for each in text)
    return shortened(text, longest).replace("$", r"\$")


def caption(figure, text):
    figure.suptitle(plain(text), x=0.01, ha="left", fontsize=9.5, color=GREY)


def styles(names):
    """A name's colour and dashes, by name, for the lines of one figure.

    An optimizer has the same colour in every figure, unless an earlier one of the same
    figure has it: then it takes the next that is free. Dashes tell sixes apart.
    """
    order = list(dict.fromkeys([*named.OPTIMIZERS, *names]))
    chosen = {}
    for name in sorted(set(names), key=order.index):
        dash = DASHES[len(chosen) // len(COLOURS) % len(DASHES)]
        home = order.index(name) % len(COLOURS)
        taken = {colour for colour, dashes in chosen.values() if dashes == dash}
        free = [c for c in COLOURS[home:] + COLOURS[:home] if c not in taken]
        chosen[name] = (free or COLOURS)[0], dash
    return chosen


def quiet(ax, grid="y"):
    """No frame, a grid along one axis, small ticks."""
    ax.grid(axis=grid, color="#E3E5E8", linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#B0B4BA")
    ax.tick_params(which="both", colors=GREY, length=0)
    ax.tick_params(axis="x", length=3, color="#B0B4BA")
