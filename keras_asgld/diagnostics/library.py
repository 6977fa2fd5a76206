"""ArviZ, which computes the figures and whose data type the draws become."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from keras_asgld.diagnostics import draws as arrays

if TYPE_CHECKING:
    from arviz import InferenceData

INSTALL = "pip install matplotlib scipy 'arviz<1'"


def arviz() -> ModuleType:
    """The library.

    Raises:
        ImportError: It is missing.
    """
    try:
        with warnings.catch_warnings():
            # Once a day it announces its next version, which the extra rules out.
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
    except ImportError as error:
        raise ImportError(
            "`keras_asgld.diagnostics` needs ArviZ, which cannot be imported: "
            f"{INSTALL}"
        ) from error
    return arviz


def to_arviz(draws: arrays.Draws) -> InferenceData:
    """The draws as ArviZ's own data type, for its plots and tables.

    ```python
    import numpy as np
    from keras_asgld import diagnostics

    draws = {"loss": np.random.default_rng(0).normal(size=(4, 500))}
    data = diagnostics.to_arviz(draws)
    assert data.posterior["loss"].dims == ("chain", "draw")
    ```

    Args:
        draws: As in `convergence`.

    Returns:
        An `arviz.InferenceData` with the group `posterior`.

    Raises:
        ImportError: If ArviZ is not installed.
        ValueError: As in `convergence`.
    """
    library = arviz()
    return library.from_dict(posterior=arrays.checked(draws))
