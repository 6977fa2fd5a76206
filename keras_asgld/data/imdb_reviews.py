"""IMDB's reviews of films, for and against, through TensorFlow Datasets."""

from keras_asgld.data import catalogue, text
from keras_asgld.data.source import Source

LENGTH = 200  # words; half of the reviews are no longer


def read(data_dir=None):
    """Returns 25,000 training and 25,000 test examples, downloaded where needed."""
    return catalogue.read("imdb_reviews", "The IMDB reviews", data_dir, _both_parts)


def _both_parts(builder):
    train, test = (
        catalogue.columns(builder, split, "text", "label")
        for split in ("train", "test")
    )
    return text.examples(train, test, LENGTH)


SOURCE = Source(read, num_classes=2, white=None)
