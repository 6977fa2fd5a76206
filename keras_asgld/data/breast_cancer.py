"""scikit-learn's breast cancer table: thirty numbers for each of 569 tumours."""

import numpy as np

from keras_asgld.data.source import DataError, Examples, Source
from keras_asgld.data.splits import stratified_order

TEST_SIZE = 190


def read(data_dir=None):
    """Returns 379 training and 190 test examples; `data_dir` is not used.

    Inputs are standardised by the training examples; 1 stands for benign.
    """
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise DataError(
            "The breast cancer table comes with scikit-learn, which is not installed: "
            "run `pip install scikit-learn`."
        ) from error
    table, labels = load_breast_cancer(return_X_y=True)
    order = stratified_order(labels)
    train = table[order[TEST_SIZE:]]
    table = ((table - train.mean(0)) / train.std(0)).astype(np.float32)
    examples = Examples(table, labels.astype(np.int32))
    return examples.take(order[TEST_SIZE:]), examples.take(order[:TEST_SIZE])


SOURCE = Source(read, num_classes=2, white=None)
