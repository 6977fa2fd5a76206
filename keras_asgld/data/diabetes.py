"""scikit-learn's diabetes table: ten numbers for each patient, and one to predict."""

import numpy as np

from keras_asgld.data.source import DataError, Examples, Source

TEST_SIZE = 90


def read(data_dir=None):
    """Returns 352 training and 90 test examples; `data_dir` is not used.

    Inputs and labels are standardised by the training examples.
    """
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
    table, target = (
        ((values - values[train].mean(0)) / values[train].std(0)).astype(np.float32)
        for values in (table, target)
    )
    return (
        Examples(table[train], target[train]),
        Examples(table[test], target[test]),
    )


SOURCE = Source(read, num_classes=None, white=None)
