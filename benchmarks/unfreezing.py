"""The learning rate that suits a pretrained network once it is let go.

    python benchmarks/unfreezing.py --data_dir=DIR --mobilenet=FILE

Each run is the command's fine-tuning (`keras-asgld train --weights`), but that the rate
does not fall: five epochs of the new last layer alone at its default rate, then five of
everything at another one. Two networks, on 512 pictures of CIFAR-10, judged on others
that are held out of the training set:

- mobilenet: MobileNetV2 of width 0.35 with the ImageNet weights of FILE, at 96 x 96;
- resnet20: pretrained here, on 10,000 pictures of five classes at 16 x 16, as a
  SavedModel; fine-tuned on the other five.

The trunk is quiet, as by default, or noisy, as with --pretrained_noise=on. From one
first stage go all rates of a network, optimizer, trunk and seed, so they differ in the
rate alone. Records go to docs/results/unfreezing.json, from which an interrupted run
goes on; the table is docs/results/unfreezing.md.
"""

import argparse
import dataclasses
import itertools
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
# Momentum SGD and Adam have no noise, so there the trunk is always quiet.
RUNS = (
    ("asgld", "quiet"),
    ("asgld", "noisy"),
    ("scale-free-asgld", "quiet"),
    ("scale-free-asgld", "noisy"),
    ("momentum", "quiet"),
    ("adam", "quiet"),
)
RATES = (1e-5, 3e-5, 1e-4, 1e-3)
SEEDS = (0, 1, 2)
PICTURES, FROZEN, EPOCHS, BATCH = 512, 5, 10, 32


def mobilenet(arguments):
    pictures = data.load(
        "cifar10",
        data_dir=arguments.data_dir,
        batch_size=BATCH,
        image_size=96,
        train_size=PICTURES,
        validation_size=1000,
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
        validation_size=2000,
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


def fine_tune(name, flags, pictures, optimizer, trunk, seed):
    """Losses and accuracies: at the end of the first stage, and by rate at last."""
    noise = "on" if trunk == "noisy" else "off"
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
        flags={**flags, "freeze": FROZEN, "pretrained_noise": noise},
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
    made = named.make(dataclasses.replace(chosen, fine_tuning=None), 1)
    fine_tuning.quieten(chosen, model, made)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(made, loss, metrics=["accuracy"], jit_compile=False)
    made.build(model.trainable_variables)
    variables = [*model.variables, *made.variables]

    def stage(initial_epoch, epochs):
        last = model.fit(
            pictures.train(initial_epoch),
            initial_epoch=initial_epoch,
            epochs=epochs,
            steps_per_epoch=pictures.steps_per_epoch,
            validation_data=pictures.validation(),
            validation_freq=[FROZEN, EPOCHS],
            callbacks=fine_tuning.callbacks(chosen, model, print),
            shuffle=False,
            verbose=0,
        ).history
        return {name: values[-1] for name, values in last.items()}

    found = {"frozen": stage(0, FROZEN)}
    state = [variable.numpy() for variable in variables]
    for rate in RATES:
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        made.learning_rate = rate
        found[f"{rate:g}"] = stage(FROZEN, EPOCHS)
    return found


def order():
    """Every run as (network, seed, (optimizer, trunk)), the quiet trunks' first."""
    every = list(itertools.product(NETWORKS, SEEDS, RUNS))
    return sorted(every, key=lambda each: each[-1][-1] == "noisy")


def runs_of(records, network, optimizer, trunk):
    """The finished runs, one a seed."""
    keys = [f"{network} {optimizer} {trunk} {seed}" for seed in SEEDS]
    return [records[key] for key in keys if key in records]


def mean(runs, stage, number):
    return statistics.fmean(run[stage][number] for run in runs)


def table(records):
    """Validation accuracy and loss, means over the seeds, by rate."""
    stages = ["frozen", *(f"{rate:g}" for rate in RATES)]
    head = ["network", "optimizer", "trunk", "new layer alone", *stages[1:], "runs"]
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3)]
    for network in NETWORKS:
        for optimizer, trunk in RUNS:
            runs = runs_of(records, network, optimizer, trunk)
            if runs:
                cells = [
                    f"{100 * mean(runs, stage, 'val_accuracy'):.1f} % "
                    f"({mean(runs, stage, 'val_loss'):.2f})"
                    for stage in stages
                ]
                row = [network, optimizer, trunk, *cells, str(len(runs))]
                lines.append(row)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def choose(records, optimizer):
    """The rate up to 1e-4 that gains most where it gains least, with a quiet trunk.

    A gain is that of a network's mean validation accuracy over the first stage's.
    """
    found = [runs_of(records, network, optimizer, "quiet") for network in NETWORKS]

    def least_gain(rate):
        stages = f"{rate:g}", "frozen"
        ends = [[mean(r, s, "val_accuracy") for s in stages] for r in found if r]
        return min(after - before for after, before in ends)

    return max((rate for rate in RATES if rate <= 1e-4), key=least_gain)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="prepared TFDS directory of cifar10")
    parser.add_argument("--mobilenet", required=True, help="weights without top")
    arguments = parser.parse_args()
    path = RESULTS / "unfreezing.json"
    records = json.loads(path.read_text()) if path.exists() else {}
    prepared = {}
    for network, seed, (optimizer, trunk) in order():
        key = f"{network} {optimizer} {trunk} {seed}"
        if key in records:
            continue
        if network not in prepared:
            prepared[network] = NETWORKS[network](arguments)
        records[key] = fine_tune(*prepared[network], optimizer, trunk, seed)
        last = {k: round(v["val_accuracy"], 3) for k, v in records[key].items()}
        print(key, last, flush=True)
        with atomic.replacing(path) as partial:
            partial.write_text(json.dumps(records, indent=1) + "\n")
    text = table(records)
    (RESULTS / "unfreezing.md").write_text(text)
    print(text)
    for optimizer in dict(RUNS):
        print(f"{optimizer}: {choose(records, optimizer):g}")


if __name__ == "__main__":
    main()
