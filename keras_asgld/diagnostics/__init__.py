"""Whether chains have converged, judged by their predictions or any other numbers.

The extra `diagnostics` brings what it needs (`pip install matplotlib scipy 'arviz<1'`).
"""

from keras_asgld.diagnostics.convergence import Convergence, convergence
from keras_asgld.diagnostics.figure import figure
from keras_asgld.diagnostics.library import to_arviz

__all__ = ["Convergence", "convergence", "figure", "to_arviz"]


def __dir__():
    return sorted(__all__)
