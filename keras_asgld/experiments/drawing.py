"""Figures made without a display, and written whole."""

import io

from keras_asgld.experiments import files
from keras_asgld.experiments.files import ExperimentError


def figure(size):
    """An empty matplotlib figure of `size` in inches.

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
    made = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(figure, path):
    """Write the figure as the PNG `path`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    files.write(path, [buffer.getbuffer()])
