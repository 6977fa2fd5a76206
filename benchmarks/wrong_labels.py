"""Digits of which some bear wrong labels: a sampler beside Adam.

    KERAS_BACKEND=jax python benchmarks/wrong_labels.py    (about twenty minutes)

300 of scikit-learn's handwritten digits to train on, of which a share bears a label
drawn at random; 100 more, spoiled in the same way, to choose by; the other 1,397 to
judge by. A network of one hidden layer is trained for 400 epochs by Adam, and sampled
for 400 by SGHMC, whose posterior is that of Bayes' rule with a Gaussian prior: its
standard deviation is that of four with the best likelihood of the hundred. Beside
Adam's last weights stand those of the epoch that was best on the hundred, and the mean
prediction of five runs of Adam to the end. Accuracy is against the right labels,
likelihood and calibration against labels spoiled as those of training.
"""

import argparse
import json
import pathlib
import statistics
import tempfile

import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_asgld import SGHMC, WeightEnsemble, calibration

ROOT = pathlib.Path(__file__).parent.parent
TRAIN, VALIDATION, EPOCHS = 300, 100, 400
PRIORS = (0.3, 0.5, 0.7, 1.0)
RUNS = 5
COLUMNS = {
    "accuracy": "accuracy, right labels",
    "negative_log_likelihood": "neg. log-likelihood",
    "expected_calibration_error": "calibration error",
}


def digits(share, seed):
    """Inputs, labels and right labels of the three parts."""
    x, right = load_digits(return_X_y=True)
    random = np.random.RandomState(seed)
    order = random.permutation(len(x))
    x, right = (x[order] / 16).astype("float32"), right[order]
    spoiled = random.rand(len(x)) < share
    labels = np.where(spoiled, random.randint(0, 10, len(x)), right)
    parts = np.split(np.arange(len(x)), [TRAIN, TRAIN + VALIDATION])
    return [(x[part], labels[part], right[part]) for part in parts]


def fit(optimizer, train, seed, callbacks=(), validation=None):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    model.fit(
        *train[:2],
        batch_size=50,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[*callbacks],
        validation_data=validation and validation[:2],
    )
    return model


def probabilities(model, x):
    return keras.ops.convert_to_numpy(keras.ops.softmax(model.predict(x, verbose=0)))


def figures(predicted, part):
    _, labels, right = part
    found = calibration.figures(predicted, labels)
    accuracy = float(np.mean(predicted.argmax(-1) == right))
    return {name: found[name] for name in COLUMNS} | {"accuracy": accuracy}


def trial(share, seed):
    train, validation, test = digits(share, seed)
    # Weights of the best epoch by the validation data, as a user would keep them.
    ends, best = [], None
    for run in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/best.weights.h5"
            keeper = keras.callbacks.ModelCheckpoint(
                path, "val_loss", save_best_only=True, save_weights_only=True
            )
            stopped = [keeper] if run == 0 else []
            adam = keras.optimizers.Adam(0.003)
            model = fit(adam, train, seed + 100 * run, stopped, validation)
            ends.append(probabilities(model, test[0]))
            if stopped:
                model.load_weights(path)
                best = probabilities(model, test[0])
    samples = {}
    for prior in PRIORS:
        sampler = SGHMC(0.02, momentum=0.9, examples=TRAIN, prior=prior, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            ensemble = WeightEnsemble(folder, frequency=10, burn_in=EPOCHS // 4)
            fit(sampler, train, seed, [ensemble])
            chosen = calibration.figures(
                ensemble.predict(validation[0]).mean, validation[1]
            )
            samples[prior] = (
                chosen["negative_log_likelihood"],
                ensemble.predict(test[0]).mean,
            )
    prior = min(samples, key=lambda prior: samples[prior][0])
    return {
        "prior": prior,
        "Adam, last epoch": figures(ends[0], test),
        "Adam, best epoch by held-out data": figures(best, test),
        f"{RUNS} runs of Adam": figures(np.mean(ends, 0), test),
        "SGHMC, posterior": figures(samples[prior][1], test),
    }


def table(record):
    lines = [
        f"| wrong labels | method | {' | '.join(COLUMNS.values())} |",
        "| ---: | --- |" + " ---: |" * len(COLUMNS),
    ]
    for share, trials in record.items():
        for method in [name for name in trials[0] if name != "prior"]:
            cells = []
            for name in COLUMNS:
                values = [each[method][name] for each in trials]
                mean, sd = statistics.mean(values), statistics.stdev(values)
                cells.append(
                    f"{mean:.2f} ± {sd:.2f}"
                    if name == "negative_log_likelihood"
                    else f"{mean:.1%} ± {sd:.1%}".replace("% ±", " ±").replace(
                        "%", " %"
                    )
                )
            lines.append(f"| {float(share):.0%} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--shares", nargs="+", type=float, default=[0.0, 0.2, 0.4])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out_dir", default=ROOT / "docs" / "results")
    options = parser.parse_args()
    out = pathlib.Path(options.out_dir)
    record = {str(share): [] for share in options.shares}
    for seed in range(options.seeds):
        for share in options.shares:
            record[str(share)].append(trial(share, seed))
            print(share, seed, record[str(share)][-1], flush=True)
    (out / "wrong_labels.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / "wrong_labels.md").write_text(table(record))
