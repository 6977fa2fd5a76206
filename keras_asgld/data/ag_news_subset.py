"""AG's news of the world, sports, business, science, through TensorFlow Datasets."""

from keras_asgld.data import catalogue, text
from keras_asgld.data.source import Source

LENGTH = 48  # words of title and description


def read(data_dir=None):
    """Returns 120,000 training and 7,600 test examples, downloaded where needed."""
    return catalogue.read("ag_news_subset", "AG's news", data_dir, _both_parts)


def _both_parts(builder):
    train, test = (_titled(builder, split) for split in ("train", "test"))
    return text.examples(train, test, LENGTH)


def _titled(builder, split):
    titles, descriptions, labels = catalogue.columns(
        builder, split, "title", "description", "label"
    )
    return titles + b" " + descriptions, labels


SOURCE = Source(read, num_classes=4, white=None)
