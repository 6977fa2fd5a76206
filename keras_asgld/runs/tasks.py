"""What can be trained on, by the data set's name, and how it is judged.

The tables are data, so that the command can list them without loading Keras.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Score:
    """A number for a network's outputs: how it is called, shown and computed.

    Attributes:
        metric: Its name in records, preceded by `train_`, `test_` or `validation_`.
        title: Its name in tables and pictures.
        scale, unit, digits: How it is written: `scale * value` to so many digits, then
            `unit`.
        lowest, highest: What it cannot go beyond.
        higher_is_better: Whether a larger number is a better one.
    """

    metric: str
    title: str
    scale: float = 1.0
    unit: str = ""
    digits: int = 3
    lowest: float = -math.inf
    highest: float = math.inf
    higher_is_better: bool = True

    def text(self, value):
        """The number as a reader wants it; None stands for a run that diverged."""
        if value is None:
            return "diverged"
        return f"{self.scale * value:.{self.digits}f}{self.unit}"

    def best(self, values):
        """The best of some numbers."""
        return max(values) if self.higher_is_better else min(values)


class _Accuracy(Score):
    """The share of outputs whose largest logit is the label's."""

    def loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def keras_metric(self):
        import keras

        return keras.metrics.SparseCategoricalAccuracy(name=self.metric)

    def sums(self, labels, outputs):
        """Sums over a batch, which `of_sums` makes the number of."""
        from keras import ops

        hits = ops.equal(ops.argmax(outputs, axis=-1), ops.cast(labels, "int32"))
        return ops.stack([ops.sum(ops.cast(hits, "float32")), _count(labels)])

    def of_sums(self, sums):
        hits, count = sums
        return hits / count


class _R2(Score):
    """The share of the labels' variance that the outputs explain."""

    def loss(self):
        import keras

        return keras.losses.MeanSquaredError()

    def keras_metric(self):
        import keras

        # Of several outputs the share of all their variance; one that is constant in
        # the labels counts for nothing.
        return keras.metrics.R2Score(
            class_aggregation="variance_weighted_average", name=self.metric
        )

    def sums(self, labels, outputs):
        """Sums over a batch, which `of_sums` makes the number of."""
        from keras import ops

        parts = ops.square(labels - outputs), labels, ops.square(labels)
        sums = [ops.sum(part, axis=0) for part in parts]
        return ops.stack([*sums, _count(labels) * ops.ones_like(sums[0])])

    def of_sums(self, sums):
        errors, labels, squares, count = sums
        variance = squares - labels**2 / count
        return 1 - errors[variance > 0].sum() / variance.sum()


def _count(labels):
    from keras import ops

    return ops.cast(ops.shape(labels)[0], "float32")


ACCURACY = _Accuracy(
    "accuracy", "accuracy", scale=100, unit=" %", digits=2, lowest=0, highest=1
)
R2 = _R2("r2", "R²", highest=1)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is trained on a data set when the user does not choose.

    Attributes:
        model: The network's name.
        epochs, batch_size: How long it is trained, and on how many examples a step.
        examples: How many there are to train on, without a subset.
        score: How the network is judged; its loss goes with it.
        inputs: What the network is given, as messages call it.
        prepared: Whether the data come out of a directory of TFDS.
        mirror: Whether a mirrored picture keeps its label.
        models: The networks for its inputs; empty for pictures, which all but those
            of texts and the autoencoder take.
        transfer: Whether the network is trained on other classes before.
    """

    model: str
    epochs: int
    batch_size: int
    examples: int
    score: Score = ACCURACY
    inputs: str = "pictures"
    prepared: bool = False
    mirror: bool = False
    models: tuple[str, ...] = ()
    transfer: bool = False


_ROWS = "rows of a table"
TEXT_MODELS = ("bag", "lstm", "transformer")
SPEECH_MODELS = ("cnn-narrow", "cnn", "cnn-plain", "gru", "mlp")
TASKS = {
    "digits": Task(model="digits", epochs=10, batch_size=64, examples=1437),
    "cifar10": Task(
        model="cnn",
        epochs=200,
        batch_size=128,
        examples=50_000,
        prepared=True,
        mirror=True,
    ),
    "cifar10-transfer": Task(
        model="cnn-narrow",
        epochs=10,
        batch_size=32,
        examples=25_000,
        prepared=True,
        mirror=True,
        transfer=True,
    ),
    "diabetes": Task(
        model="mlp",
        epochs=20,
        batch_size=32,
        examples=352,
        score=R2,
        inputs=_ROWS,
        models=("mlp",),
    ),
    "diabetes-raw": Task(
        model="mlp",
        epochs=100,
        batch_size=16,
        examples=352,
        score=R2,
        inputs=_ROWS,
        models=("mlp",),
    ),
    "breast-cancer": Task(
        model="mlp",
        epochs=20,
        batch_size=32,
        examples=379,
        inputs=_ROWS,
        models=("mlp",),
    ),
    "digits-autoencoder": Task(
        model="autoencoder",
        epochs=20,
        batch_size=32,
        examples=1437,
        score=R2,
        inputs="rows of numbers, to be given back",
        models=("autoencoder",),
    ),
    "verses": Task(
        model="bag",
        epochs=5,
        batch_size=64,
        examples=25_102,
        inputs="texts",
        models=TEXT_MODELS,
    ),
    "surnames": Task(
        model="transformer",
        epochs=15,
        batch_size=32,
        examples=2400,
        inputs="texts",
        models=TEXT_MODELS,
    ),
    "imdb_reviews": Task(
        model="bag",
        epochs=5,
        batch_size=64,
        examples=25_000,
        inputs="long texts",
        prepared=True,
        # Two hundred steps of a network that is unrolled take minutes to compile.
        models=("bag", "transformer"),
    ),
    "ag_news_subset": Task(
        model="bag",
        epochs=3,
        batch_size=64,
        examples=120_000,
        inputs="texts",
        prepared=True,
        models=TEXT_MODELS,
    ),
    "spoken_digit": Task(
        model="cnn-narrow",
        epochs=10,
        batch_size=32,
        examples=2250,
        inputs="spectrograms of speech",
        prepared=True,
        models=SPEECH_MODELS,
    ),
}
# What networks take, but for those that take pictures alone.
TAKEN = {
    "autoencoder": "rows of numbers, which it gives back",
    "bag": "texts",
    "gru": "pictures or spectrograms, row by row",
    "lstm": "short texts",
    "mlp": "rows of a table, spectrograms or pictures",
    "transformer": "texts",
}
NOT_FOR_PICTURES = ("autoencoder", *TEXT_MODELS)
PREPARED = tuple(name for name, task in TASKS.items() if task.prepared)


def score(settings):
    """The score of a run with these settings, a dict as a record holds it.

    Records may be of data sets that are no longer known; all of those had classes.
    """
    task = TASKS.get(settings.get("dataset"))
    return task.score if task else ACCURACY
