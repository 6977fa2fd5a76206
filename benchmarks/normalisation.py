"""Does normalisation change what ASGLD is worth? Batch, layer and none, on the digits.

    KERAS_BACKEND=jax python benchmarks/normalisation.py

takes about ten minutes on two CPU cores and writes normalisation.json, .md and .png in
docs/results. A network of four hidden layers learns the handwritten digits with batch
normalisation, with layer normalisation and without; runs, rates and figures are those
of where_noise_helps.py on 1,000 digits, in 40 epochs of batches of 32.

Expected before it was run: at its best rate every rule gains as much from
normalisation, and the noise costs or gains less than half a point in all three; over
all rates the noise costs less with normalisation than without, since the weights before
it may grow, which makes their steps shorter.
"""

import json
import statistics

import keras
import where_noise_helps as digits

SEEDS = 8
HIDDEN = (32,) * 4
NORMALISATIONS = {
    "batch normalisation": keras.layers.BatchNormalization,
    "layer normalisation": keras.layers.LayerNormalization,
    "none": None,
}
RULES = {
    "mean alone, ψ = 9": digits.control(9.0, kind="none"),
    "with its noise, ψ = 9": digits.control(9.0),
    "mean alone, ψ = 1": digits.control(1.0, kind="none"),
    "with its noise, ψ = 1": digits.control(1.0),
    "ScaleFreeASGLD, ρ = 0.95, ψ = 3": digits.scale_free(),
    "Adam": digits.adam(),
}
NAME = "normalisation"


def study():
    record = {name: {} for name in NORMALISATIONS}
    for name, layer in NORMALISATIONS.items():
        network = digits.Network(layer, HIDDEN)
        for label, rule in RULES.items():
            found = digits.learn(digits.SMALL_BATCHES, rule, SEEDS, network)
            record[name][label] = digits.judged(*found, rule[2])
            print(name, label, record[name][label]["by rate"], flush=True)
    return record


def table(record):
    """Markdown: by normalisation, accuracy of the last epoch and over all rates."""
    ways = "last epoch", "all rates"
    heads = [f"{name}: {way}" for name in record for way in ways]
    lines = [f"| | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for label in next(iter(record.values())):
        found = [
            rules[label][way]["accuracies"] for rules in record.values() for way in ways
        ]
        cells = " | ".join(f"{100 * statistics.fmean(each):.1f} %" for each in found)
        lines.append(f"| {label} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = study()
    path = digits.RESULTS / NAME
    path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(table(found), encoding="utf-8")
    digits.draw(found, path.with_suffix(".png"))
    print(table(found))
