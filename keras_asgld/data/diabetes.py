"""scikit-learn's diabetes table: ten numbers for each patient, and one to predict."""

import numpy as np

from keras_asgld.data.source import DataError, Examples, Source

TEST_SIZE = 90


def read(data_dir=None):
    """Returns 352 training and 90 test examples; `data_dir` is not used.

    Inputs and labels are standardised by the training examples.
    """
    train, test = read_raw()
    mean = train.labels.mean(0, dtype=np.float64)
    std = train.labels.std(0, dtype=np.float64)
    return tuple(
        part._replace(labels=((part.labels - mean) / std).astype(np.float32))
        for part in (train, test)
    )


def read_raw(data_dir=None):
    """The same with the labels as they are, numbers from 25 to 346."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise DataError(
            "The diabetes table comes with scikit-learn, which is not installed: run "
            "`pip install scikit-learn`."
        ) from error
    table, target = load_diabetes(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(target))
    table, target = table[order], target[order, None]
    train, test = slice(0, -TEST_SIZE), slice(-TEST_SIZE, None)
    table = ((table - table[train].mean(0)) / table[train].std(0)).astype(np.float32)
    return (
        Examples(table[train], target[train].astype(np.float32)),
        Examples(table[test], target[test].astype(np.float32)),
    )


SOURCE = Source(read, num_classes=None, white=None)
RAW = Source(read_raw, num_classes=None, white=None)
