"""Few pictures, and foreign ones: cyclical samplers beside one network and five.

    KERAS_BACKEND=jax python benchmarks/foreign_pictures.py --data_dir=TFDS_DIRECTORY

CIFAR-10 at 16 x 16. Two classes, drawn by the seed, are left out and are foreign;
1,000 pictures of the other eight train a small convolutional network, 400 more choose.
Everything has 150 epochs: one network all of them, an ensemble five networks of 30
each, a cyclical sampler five cycles of 30, SGHMC all of them at a constant rate. The
samplers' posterior is that of Bayes' rule (temperature 1) with a Gaussian prior.

Each method takes the setting with the best likelihood of the 400, with a seed of its
own: Adam the best of four learning rates, each network as it was at its best epoch; a
sampler the best of four priors, at a rate that a few runs with that seed had shown to
be stable. Three other seeds are then judged on the test set, and by how well entropy
of the prediction tells pictures of the two foreign classes from the others (the area
under the ROC curve). Every number goes to docs/results/foreign_pictures.json at once;
started again, it goes on.
"""

import argparse
import functools
import json
import pathlib
import statistics
import tempfile

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from keras_asgld import (
    PSGLD,
    SGHMC,
    SGLD,
    CyclicTemperature,
    WeightEnsemble,
    atomic,
    calibration,
    data,
    models,
)

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
TRAIN, VALIDATION, BATCH, CYCLES, EPOCHS = 1000, 400, 50, 5, 30
TUNING_SEED, SEEDS = 9, (0, 1, 2)
KNOWN = 8
COLUMNS = {
    "accuracy": "accuracy",
    "negative_log_likelihood": "neg. log-likelihood",
    "brier_score": "Brier score",
    "expected_calibration_error": "calibration error",
    "auroc": "AUROC, foreign",
}
PERCENT = ("accuracy", "expected_calibration_error")


@functools.cache
def pictures(data_dir):
    """Inputs and labels of CIFAR-10's training and test set at 16 x 16."""
    loaded = data.load("cifar10", batch_size=BATCH, data_dir=data_dir, image_size=16)
    return [
        (
            np.asarray(loaded.preprocessing.normalise(part.inputs)),
            np.asarray(part.labels),
        )
        for part in (loaded.train_examples, loaded.test_examples)
    ]


def parts(whole, seed):
    """Training, validation and test pictures of eight classes, and the foreign ones."""
    random = np.random.RandomState(seed)
    classes = random.permutation(10)
    new = np.argsort(classes)  # the last two of the drawn order are foreign
    (x, y), (x_test, y_test) = ((x, new[y]) for x, y in whole)
    chosen = random.permutation(np.flatnonzero(y < KNOWN))[: TRAIN + VALIDATION]
    x, y = x[chosen], y[chosen]
    known = y_test < KNOWN
    return {
        "train": (x[:TRAIN], y[:TRAIN]),
        "validation": (x[TRAIN:], y[TRAIN:]),
        "test": (x_test[known], y_test[known]),
        "foreign": x_test[~known],
    }


def fit(optimizer, found, seed, epochs, callbacks=()):
    keras.utils.set_random_seed(seed)
    x, y = found["train"]
    model = models.build("cnn-plain", x.shape[1:], KNOWN, seed=seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks],
        validation_data=found["validation"],
        validation_batch_size=VALIDATION,
    )
    return model


def cosine(rate, epochs):
    steps = epochs * TRAIN // BATCH
    return keras.optimizers.schedules.CosineDecayRestarts(rate, steps, t_mul=1.0)


def predict(model, x):
    logits = model.predict(x, batch_size=500, verbose=0)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def networks(found, seed, asked, count, rate):
    """`count` runs of Adam, each as the epoch leaves it that predicts best."""
    epochs = CYCLES * EPOCHS // count
    made = []
    for run in range(count):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/best.weights.h5"
            keeper = keras.callbacks.ModelCheckpoint(
                path, "val_loss", save_best_only=True, save_weights_only=True
            )
            optimizer = keras.optimizers.Adam(cosine(rate, epochs))
            model = fit(optimizer, found, seed + 100 * run, epochs, [keeper])
            model.load_weights(path)
        made.append(model)
    return [np.mean([predict(model, x) for model in made], axis=0) for x in asked]


def samples(found, seed, asked, cls, cyclical, rate, prior):
    """The mean prediction of a sampler's members, one a cycle or one in five epochs."""
    steps = EPOCHS * TRAIN // BATCH
    numbers = {"examples": TRAIN, "prior": prior, "seed": seed}
    if cls is SGHMC:
        numbers["momentum"] = 0.9
    if cyclical:
        sampler = cls(
            cosine(rate, EPOCHS),
            temperature=CyclicTemperature(1.0, steps, steps // 4),
            **numbers,
        )
        plan = {"unit": "cycle"}
    else:
        sampler = cls(rate, temperature=1.0, **numbers)
        plan = {"frequency": 5, "burn_in": 2 * EPOCHS}
    with tempfile.TemporaryDirectory() as folder:
        ensemble = WeightEnsemble(folder, **plan)
        fit(sampler, found, seed, CYCLES * EPOCHS, [ensemble])
        return [ensemble.predict(x, batch_size=500).mean for x in asked]


def _priors(rate):
    return [{"rate": rate, "prior": prior} for prior in (0.2, 0.3, 0.1, 0.15)]


_ADAM = [{"rate": rate} for rate in (0.0003, 0.001, 0.003, 0.01)]
# A method → how it is run, and what it may try. Run on (parts, seed, inputs), it gives
# the probabilities that it predicts for each array of the inputs.
METHODS = {
    "one network": (functools.partial(networks, count=1), _ADAM),
    "5 networks": (functools.partial(networks, count=CYCLES), _ADAM),
    "SGHMC": (
        functools.partial(samples, cls=SGHMC, cyclical=False),
        _priors(0.01),
    ),
    "cyclical SGHMC": (
        functools.partial(samples, cls=SGHMC, cyclical=True),
        _priors(0.03),
    ),
    "cyclical SGLD": (
        functools.partial(samples, cls=SGLD, cyclical=True),
        _priors(0.2),
    ),
    "cyclical PSGLD": (
        functools.partial(samples, cls=PSGLD, cyclical=True),
        _priors(0.001),
    ),
}


def figures(run, found, seed, **numbers):
    """The columns of the table."""
    x, y = found["test"]
    known, foreign = run(found, seed, [x, found["foreign"]], **numbers)
    unsure = [
        -np.sum(p * np.log(np.maximum(p, 1e-12)), axis=-1) for p in (known, foreign)
    ]
    is_foreign = np.repeat([0, 1], [len(known), len(foreign)])
    of_labels = calibration.figures(known, y)
    return {name: of_labels[name] for name in COLUMNS if name != "auroc"} | {
        "auroc": float(roc_auc_score(is_foreign, np.concatenate(unsure)))
    }


def tried(whole, method, numbers):
    """The negative log-likelihood of the validation pictures; None where it is NaN."""
    found = parts(whole, TUNING_SEED)
    run, _ = METHODS[method]
    x, y = found["validation"]
    (predicted,) = run(found, TUNING_SEED, [x], **numbers)
    if not np.isfinite(predicted).all():
        return None
    return calibration.figures(predicted, y)["negative_log_likelihood"]


def chosen(record, method):
    """The numbers that did best on validation data."""
    scores = record["tried"][method]
    finite = [i for i, score in enumerate(scores) if score is not None]
    return METHODS[method][1][min(finite, key=lambda i: scores[i])]


def study(record, whole, keep):
    """Everything that the record lacks; `keep` is called after each number."""
    for method, (_, grid) in METHODS.items():
        scores = record["tried"].setdefault(method, [])
        while len(scores) < len(grid):
            scores.append(tried(whole, method, grid[len(scores)]))
            print(method, grid[len(scores) - 1], scores[-1], flush=True)
            keep()
    for seed in SEEDS:
        found = parts(whole, seed)
        done = record["test"].setdefault(str(seed), {})
        for method, (run, _) in METHODS.items():
            if method not in done:
                numbers = chosen(record, method)
                done[method] = figures(run, found, seed, **numbers)
                print(seed, method, numbers, done[method], flush=True)
                keep()


def _cell(name, values):
    mean, sd = statistics.mean(values), statistics.stdev(values)
    if name in PERCENT:
        return f"{100 * mean:.1f} ± {100 * sd:.1f} %"
    return f"{mean:.3f} ± {sd:.3f}"


def table(record):
    """Means and standard deviations over the seeds that are finished."""
    lines = [
        f"| method | {' | '.join(COLUMNS.values())} | seeds |",
        "| --- |" + " ---: |" * (len(COLUMNS) + 1),
    ]
    for method in METHODS:
        runs = [found[method] for found in record["test"].values() if method in found]
        if len(runs) > 1:
            cells = [_cell(name, [run[name] for run in runs]) for name in COLUMNS]
            lines.append(f"| {method} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="prepared TFDS directory of cifar10")
    arguments = parser.parse_args()
    path = RESULTS / "foreign_pictures.json"
    record = {"tried": {}, "test": {}}
    if path.exists():
        record = json.loads(path.read_text())

    def keep():
        with atomic.replacing(path) as partial:
            partial.write_text(json.dumps(record, indent=1) + "\n")

    study(record, pictures(arguments.data_dir), keep)
    (RESULTS / "foreign_pictures.md").write_text(table(record))
    print(table(record))


if __name__ == "__main__":
    main()
