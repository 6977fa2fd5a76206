"""What all figures share: the canvas, the colours, the quiet axes."""

import io

from keras_asgld.experiments import files, recipes
from keras_asgld.experiments.files import ExperimentError

# Okabe and Ito's palette, which colour-blind readers can tell apart; its yellow
# and black are left out (too pale on white, and the colour of the axes).
COLOURS = ("#D55E00", "#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
GREY = "#5F6368"
TITLE = {"loc": "left", "fontsize": 11.5, "fontweight": "bold"}


def canvas(width, height):
    """An empty figure of so many inches, which needs no display.

    Raises:
        ExperimentError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExperimentError(
            'no figure drawn: matplotlib is missing; pip install "keras-asgld[plots]"'
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure, path):
    """Write the figure as the PNG `path`, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    files.write(path, [buffer.getbuffer()])


def caption(figure, text):
    figure.suptitle(text, x=0.01, ha="left", fontsize=9.5, color=GREY)


def style(optimizer, names):
    """The same colour for an optimizer in every figure; dashes tell sixes apart."""
    order = [*recipes.OPTIMIZERS, *(n for n in names if n not in recipes.OPTIMIZERS)]
    place = order.index(optimizer)
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def quiet(ax, grid="y"):
    """No frame, a grid along one axis, small ticks."""
    ax.grid(axis=grid, color="#E3E5E8", linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#B0B4BA")
    ax.tick_params(colors=GREY, length=0)
    ax.tick_params(axis="x", length=3, color="#B0B4BA")
