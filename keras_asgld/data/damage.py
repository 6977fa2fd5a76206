"""What is wrong with a folder of TensorFlow Datasets, in a user's words.

TensorFlow tells it by its own parts: nodes of a graph, devices, iterators.
"""

import re

# The operating system's words about a file: `PATH; No such file or directory`.
_OF_FILE = re.compile(r"(?:^|\}\} )([^{}]+); ([A-Z][a-z ]+?)(?: \[Op|$)")
_TOO_FEW = re.compile(r"to contain (\d+) elements but contained only (\d+) elements")

_CURE = "remove that folder to have the data prepared anew"


def of_description(error):
    """Why the file that describes a data set cannot be read."""
    return _of_system(error) or (
        "dataset_info.json in the folder of the data set is damaged or of another "
        f"version; {_CURE}"
    )


def of_examples(error):
    """Why the files that hold a data set's examples cannot be read."""
    import tensorflow as tf

    text = " ".join(str(error).split())
    if found := _OF_FILE.search(text):
        return f"{found[1]}: {found[2]}"
    if few := _TOO_FEW.search(text):
        return f"a file is damaged, it holds {few[2]} of {few[1]} examples; {_CURE}"
    if isinstance(error, tf.errors.DataLossError):
        return f"a file is damaged or cut off; {_CURE}"
    if isinstance(error, tf.errors.InvalidArgumentError):
        return f"a file holds no examples of this data set; {_CURE}"
    if isinstance(error, tf.errors.OpError):
        return f"a file cannot be read ({type(error).__name__})"
    return _of_system(error) or text[:300] or type(error).__name__


def _of_system(error):
    """The operating system's words where it is the cause, or None."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return f"{error.filename}: {error.strerror}"
        error = error.__cause__ or error.__context__
    return None
