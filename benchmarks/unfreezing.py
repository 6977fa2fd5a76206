"""By what the learning rate is multiplied where a pretrained network is let go.

    python benchmarks/unfreezing.py --data_dir=DIR --mobilenet=FILE

Each run is the command's fine-tuning (`keras-asgld train --weights`) at its default
rates: six epochs of the new last layer alone, then three of everything at the rate
times a factor. Two networks, on 256 pictures of CIFAR-10, judged on others that are
held out of the training set:

- mobilenet: MobileNetV2 of width 0.35 with the ImageNet weights of FILE, at 96 x 96;
- resnet20: pretrained here, on 10,000 pictures of five classes at 16 x 16, as a
  SavedModel; fine-tuned on the other five.

From one first stage go all factors of a network, optimizer and seed, so they differ in
the factor alone. Records go to docs/results/unfreezing.json, from which an interrupted
run goes on; the table is docs/results/unfreezing.md. What is there is of fewer runs
than three seeds of everything, for want of time; the table says of how many.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_asgld import atomic, data, models
from keras_asgld.runs import fine_tuning, settings
from keras_asgld.runs import optimizers as named

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
OPTIMIZERS = ("asgld", "momentum", "adam")
FACTORS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
SEEDS = (0, 1, 2)
PICTURES, FROZEN, EPOCHS, BATCH = 256, 6, 9, 32


def mobilenet(arguments):
    pictures = data.load(
        "cifar10",
        data_dir=arguments.data_dir,
        batch_size=BATCH,
        image_size=96,
        train_size=PICTURES,
        validation_size=400,
    )
    name = "applications/MobileNetV2:alpha=0.35"
    return name, {"weights": arguments.mobilenet}, pictures


def resnet20(arguments):
    pictures = data.load(
        "cifar10",
        data_dir=arguments.data_dir,
        batch_size=128,
        image_size=16,
        train_size=20_000,
        validation_size=1000,
    )
    pretraining = part(pictures, lambda labels: labels < 5)
    keras.utils.set_random_seed(0)
    network = models.build("resnet20", pretraining.input_shape, 5, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    network.fit(
        pretraining.train(),
        epochs=6,
        steps_per_epoch=pretraining.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    _, accuracy = network.evaluate(pretraining.validation(), verbose=0)
    print(f"resnet20, pretrained: {accuracy:.1%} of the first five classes", flush=True)
    # A module of pictures takes pixels in [0, 1].
    inputs = keras.Input(pretraining.input_shape)
    mean, std = pictures.preprocessing.mean, pictures.preprocessing.std
    scaled = keras.layers.Rescaling(
        [1 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
    )(inputs)
    features = keras.Model(network.input, network.layers[-2].output)(scaled)
    folder = tempfile.mkdtemp()
    keras.Model(inputs, features).export(folder, verbose=False)
    new = part(pictures, lambda labels: labels >= 5)
    new = dataclasses.replace(
        new, batch_size=BATCH, train_examples=new.train_examples.take(slice(PICTURES))
    )
    return f"hub/{folder}", {}, new


def part(pictures, chosen):
    """The pictures of the five classes whose labels `chosen` takes, numbered from 0."""

    def take(examples):
        examples = examples.take(chosen(examples.labels))
        return examples._replace(labels=examples.labels % 5)

    return dataclasses.replace(
        pictures,
        num_classes=5,
        train_examples=take(pictures.train_examples),
        validation_examples=take(pictures.validation_examples),
    )


NETWORKS = {"mobilenet": mobilenet, "resnet20": resnet20}


def fine_tune(name, flags, pictures, optimizer, seed):
    """Validation accuracies: at the end of the first stage, and by factor at last."""
    chosen = settings.make(
        "cifar10",
        optimizer,
        model=name,
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=seed,
        image_size=None,
        train_size=pictures.train_size,
        weight_decay=5e-4,
        drop_epochs=[],
        drop_factor=0.1,
        jit_compile="off",
        flags={**flags, "freeze": FROZEN, "unfreeze_factor": 1.0},
    )
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    pictures = dataclasses.replace(pictures, seed=seed)
    model = models.build(
        name,
        pictures.input_shape,
        pictures.num_classes,
        seed=seed,
        weights=flags.get("weights"),
        mean=pictures.preprocessing.mean,
        std=pictures.preprocessing.std,
    )
    # A plain number instead of the command's schedule, so that it can be set.
    rate = chosen.hyperparameters["learning_rate"]
    made = named.make(dataclasses.replace(chosen, fine_tuning=None), 1)
    fine_tuning.quieten(chosen, model, made)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(made, loss, metrics=["accuracy"], jit_compile=False)
    made.build(model.trainable_variables)
    variables = [*model.variables, *made.variables]

    def stage(initial_epoch, epochs):
        history = model.fit(
            pictures.train(initial_epoch),
            initial_epoch=initial_epoch,
            epochs=epochs,
            steps_per_epoch=pictures.steps_per_epoch,
            callbacks=fine_tuning.callbacks(chosen, model),
            shuffle=False,
            verbose=0,
        ).history
        accuracy = model.evaluate(pictures.validation(), verbose=0)[1]
        return {"train": history["accuracy"][-1], "validation": accuracy}

    found = {"frozen": stage(0, FROZEN)}
    state = [variable.numpy() for variable in variables]
    for factor in FACTORS:
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        made.learning_rate = rate * factor
        found[f"{factor:g}"] = stage(FROZEN, EPOCHS)
    return found


def runs_of(records, network, optimizer):
    """The finished runs, one a seed."""
    keys = [f"{network} {optimizer} {seed}" for seed in SEEDS]
    return [records[key] for key in keys if key in records]


def mean(runs, stage):
    return statistics.fmean(run[stage]["validation"] for run in runs)


def table(records):
    """Mean validation accuracy over the seeds, by network, optimizer and factor."""
    factors = [f"{factor:g}" for factor in FACTORS]
    lines = [["network", "optimizer", "new layer alone", *(f"× {f}" for f in factors)]]
    lines[0].append("runs")
    lines.append(["---", "---", *["---:"] * (2 + len(FACTORS))])
    for network in NETWORKS:
        for optimizer in OPTIMIZERS:
            runs = runs_of(records, network, optimizer)
            if runs:
                means = [100 * mean(runs, stage) for stage in ("frozen", *factors)]
                cells = [f"{value:.1f} %" for value in means]
                lines.append([network, optimizer, *cells, str(len(runs))])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def choose(records, optimizer):
    """The factor of the highest validation accuracy, averaged over the networks."""

    def score(factor):
        found = (runs_of(records, network, optimizer) for network in NETWORKS)
        return statistics.fmean(mean(runs, f"{factor:g}") for runs in found if runs)

    return max(FACTORS, key=score)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="prepared TFDS directory of cifar10")
    parser.add_argument("--mobilenet", required=True, help="weights without top")
    arguments = parser.parse_args()
    path = RESULTS / "unfreezing.json"
    records = json.loads(path.read_text()) if path.exists() else {}
    for network, prepare in NETWORKS.items():
        keys = {f"{network} {o} {s}": (o, s) for s in SEEDS for o in OPTIMIZERS}
        if keys.keys() <= records.keys():
            continue
        name, flags, pictures = prepare(arguments)
        for key, (optimizer, seed) in keys.items():
            if key in records:
                continue
            records[key] = fine_tune(name, flags, pictures, optimizer, seed)
            last = {k: round(v["validation"], 3) for k, v in records[key].items()}
            print(key, last, flush=True)
            with atomic.replacing(path) as partial:
                partial.write_text(json.dumps(records, indent=1) + "\n")
    text = table(records)
    (RESULTS / "unfreezing.md").write_text(text)
    print(text)
    for optimizer in OPTIMIZERS:
        print(f"{optimizer}: {choose(records, optimizer):g}")


if __name__ == "__main__":
    main()
