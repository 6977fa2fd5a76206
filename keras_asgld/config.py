"""Settings of the package as a whole."""

import os

_compilation_enabled = os.environ.get("KERAS_ASGLD_COMPILATION", "1") != "0"


def enable_compilation() -> None:
    """Lets updates be compiled, as they are by default.

    On TensorFlow and JAX an optimizer of this package compiles its update by XLA, even
    where the training step is a plain graph or runs eagerly. It does not where XLA
    cannot: while `tf.debugging.enable_check_numerics()` is in force, and on Apple's
    GPUs.
    """
    global _compilation_enabled
    _compilation_enabled = True


def disable_compilation() -> None:
    """Keeps the package from compiling anything by itself.

    For devices without XLA and for debugging. The noise has the same bits; the weights
    are those of compiled updates but for rounding. A step that is compiled as a
    whole (`jit_compile=True`) is compiled nevertheless. What has been traced before
    stays as it is. The environment variable `KERAS_ASGLD_COMPILATION=0` does the same
    from the beginning.

    ```python
    import keras_asgld

    keras_asgld.config.disable_compilation()
    assert not keras_asgld.config.is_compilation_enabled()
    keras_asgld.config.enable_compilation()
    ```
    """
    global _compilation_enabled
    _compilation_enabled = False


def is_compilation_enabled() -> bool:
    """Whether updates may be compiled where the backend can."""
    return _compilation_enabled
