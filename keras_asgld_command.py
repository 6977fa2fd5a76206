"""The console script `keras-asgld`.

It stands beside the package and not in it. `import keras_asgld` loads Keras and its
backend, as it has to for who uses it; help and complaints about flags need neither and
should not take seconds, nor begin with the messages of a backend that starts. So the
command's own files are imported without running the package's `__init__`.
"""

import importlib.util
import sys


def run():
    """Runs the command line and exits with its status."""
    name = "keras_asgld"
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
    from keras_asgld.cli import command

    command.run()


if __name__ == "__main__":
    run()
