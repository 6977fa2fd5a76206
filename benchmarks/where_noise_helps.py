"""Does ASGLD's noise help where it might: little data, wrong labels, large batches?

    KERAS_BACKEND=jax python benchmarks/where_noise_helps.py

takes about ten minutes on two CPU cores and writes where_noise_helps.json, .md and .png
in docs/results. A network of one hidden layer learns scikit-learn's handwritten digits,
sixteen times each with a split, first weights, batches and noise of its own, the same
for all rules of a task. Every rule has a grid of learning rates, of which the one
with the best mean accuracy on held-out data is taken; the figures are the accuracy on
the digits that are left over, against their right labels: of the last epoch, and of the
epoch that was best on the held-out data; and, of the last epoch, its mean over all
rates of the grid, which is the area under the curve over the logarithm of the rate.

Rules are ASGLD with its noise, without it ("mean alone", Nesterov's SGD but for the
length of its step), and with noise of the same total variance that is as large for
every weight ("isotropic"). Expected before anything was run:

- *Little data*, 300 digits for 200 epochs in batches of 50: without wrong labels no
  difference above half a point; with a fifth of wrong labels, in the last epoch, up to
  two points for the noise, which hinders the learning by heart, and in the epoch that
  is chosen by held-out data none.
- *Large batches*, 1,000 digits for 40 epochs in batches of 500 instead of 32: mean
  alone loses a point or more; noise of the size that stands in for what the small batch
  had (`stand_in`) wins back less than a quarter of it, since what is lacking are steps,
  not noise; and isotropic noise no more.
- *Large rates*: the noise lowers the mean over all rates, since it makes the longest
  stable step shorter (stability.py).

(The last expectation, the rate of 0.01 and the mean over rates came after a first run,
in which wrong labels were learned best at the lowest rate of the grid, 0.03.)
"""

import functools
import json
import pathlib
import statistics
from typing import NamedTuple

import jax
import keras
import numpy as np
from jax import numpy as jnp
from scipy import stats
from sklearn.datasets import load_digits

from keras_asgld import ScaleFreeASGLD
from keras_asgld.reports import drawing
from keras_asgld.runs.controls import Control

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
SEEDS = 16
MARKS = 40  # how often a run is judged


class Task(NamedTuple):
    train: int
    held_out: int
    wrong: float
    epochs: int
    batch: int

    @property
    def steps(self):
        """Of one epoch; what is left over is seen in another."""
        return self.train // self.batch


LITTLE = Task(300, 100, 0.0, 200, 50)
SPOILED = LITTLE._replace(wrong=0.2)
SMALL_BATCHES = Task(1000, 200, 0.0, 40, 32)
LARGE_BATCHES = SMALL_BATCHES._replace(batch=500)


def stand_in(psi, rho, ratio):
    """The factor that makes ASGLD's noise what a batch `ratio` times smaller adds.

    On weights that nothing pulls back, in the long run; see halving_bound.py.
    """
    halving = (psi / (1 + psi)) ** 2 * 2 * rho / (1 + rho)
    return ((ratio - 1) / halving) ** 0.5


def control(psi, **parts):
    """A rule of the effective learning rate that it will be given, and its grid."""
    make = functools.partial(Control, noise=psi, momentum=0.9, seed=0, **parts)
    rates = 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0
    return lambda: make(learning_rate=0.0), 1 + psi, rates


def scale_free():
    optimizer = functools.partial(ScaleFreeASGLD, 0.0, 0.95, 3.0, seed=0)
    return optimizer, 4.0, (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def adam():
    return functools.partial(keras.optimizers.Adam, 0.0), 1.0, scale_free()[2]


FACTOR = stand_in(3.0, 0.9, LARGE_BATCHES.batch / SMALL_BATCHES.batch)
_AT_LITTLE = {
    "mean alone, ψ = 9": control(9.0, kind="none"),
    "with its noise, ψ = 9": control(9.0),
    "isotropic noise, ψ = 9": control(9.0, kind="isotropic"),
    "mean alone, ψ = 1": control(1.0, kind="none"),
    "with its noise, ψ = 1": control(1.0),
    "ScaleFreeASGLD, ρ = 0.95, ψ = 3": scale_free(),
    "Adam": adam(),
}
# A name, then for each rule its task. Differences are to the first.
STUDIES = {
    "little data": {name: (LITTLE, rule) for name, rule in _AT_LITTLE.items()},
    "a fifth of the labels wrong": {
        name: (SPOILED, rule) for name, rule in _AT_LITTLE.items()
    },
    "large batches": {
        "mean alone, batches of 500": (LARGE_BATCHES, control(3.0, kind="none")),
        "mean alone, batches of 32": (SMALL_BATCHES, control(3.0, kind="none")),
        "noise as it is, batches of 500": (LARGE_BATCHES, control(3.0)),
        f"noise × {FACTOR:.1f}, batches of 500": (
            LARGE_BATCHES,
            control(3.0, size=FACTOR),
        ),
        f"isotropic noise × {FACTOR:.1f}, batches of 500": (
            LARGE_BATCHES,
            control(3.0, kind="isotropic", size=FACTOR),
        ),
    },
}


def digits(task, seed):
    """Inputs and labels to train on, to choose by and to judge by."""
    x, right = load_digits(return_X_y=True)
    random = np.random.RandomState(seed)
    order = random.permutation(len(x))
    x, right = (x[order] / 16).astype("float32"), right[order]
    spoiled = random.rand(len(x)) < task.wrong
    labels = np.where(spoiled, random.randint(0, 10, len(x)), right)
    ends = [task.train, task.train + task.held_out]
    inputs, labels, right = (np.split(each, ends) for each in (x, labels, right))
    parts = zip(inputs, [*labels[:2], right[2]], strict=True)
    return [(x, y.astype("int32")) for x, y in parts]


class Network:
    """One hidden layer, as functions of its weights and its layers' other state."""

    def __init__(self, normalisation=None, hidden=(64,)):
        layers = [keras.Input((64,))]
        for width in hidden:
            layers.append(keras.layers.Dense(width))
            layers += [normalisation()] if normalisation else []
            layers.append(keras.layers.ReLU())
        self.model = keras.Sequential([*layers, keras.layers.Dense(10)])

    def start(self, seed):
        """Weights and other state before the first step."""
        keras.utils.set_random_seed(seed)
        model = keras.models.clone_model(self.model)
        both = model.trainable_variables, model.non_trainable_variables
        return tuple([np.asarray(v.value) for v in each] for each in both)

    def loss(self, weights, state, x, y):
        logits, state = self.model.stateless_call(weights, state, x, training=True)
        chances = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(chances, y[:, None], 1).mean(), state

    def accuracy(self, weights, state, x, y):
        logits, _ = self.model.stateless_call(weights, state, x)
        return (logits.argmax(-1) == y).mean()


def learn(task, rule, seeds=SEEDS, network=None):
    """Accuracies of (rates, seeds, marks): on held-out data, and on what is left over.

    All runs make each step at once, each as it would alone.
    """
    make, length, rates = rule
    optimizer = make()
    network = network or Network()
    starts = [network.start(seed) for seed in range(seeds)]
    optimizer.build([keras.Variable(value) for value in starts[0][0]])
    if hasattr(optimizer, "stacked_variables"):
        states = optimizer.stacked_variables(range(seeds))
    else:
        states = [jnp.stack([v.value] * seeds) for v in optimizer.variables]
    is_rate = [v is optimizer._learning_rate for v in optimizer.variables]
    assert sum(is_rate) == 1

    def step(state, chosen, train):
        variables, (weights, others) = state
        slope = jax.grad(network.loss, has_aux=True)
        x, y = train
        gradients, others = slope(weights, others, x[chosen], y[chosen])
        weights, variables = optimizer.stateless_apply(variables, gradients, weights)
        return (variables, (weights, others)), None

    def epoch(state, key, train):
        order = jax.random.permutation(key, task.train)[: task.steps * task.batch]
        batches = order.reshape(task.steps, task.batch)
        return jax.lax.scan(functools.partial(step, train=train), state, batches)[0]

    def run(rate, variables, weights, parts, key):
        variables = [
            jnp.asarray(rate, value.dtype) if is_rate[place] else value
            for place, value in enumerate(variables)
        ]
        train, held_out, rest = parts

        def to_mark(state, keys):
            go = lambda state, key: (epoch(state, key, train), None)  # noqa: E731
            state, _ = jax.lax.scan(go, state, keys)
            judge = functools.partial(network.accuracy, *state[1])
            return state, (judge(*held_out), judge(*rest))

        keys = jax.random.split(key, task.epochs).reshape(MARKS, -1)
        return jax.lax.scan(to_mark, (variables, weights), keys)[1]

    stack = lambda *each: jnp.stack(each)  # noqa: E731
    stacked = jax.tree.map(stack, *starts)
    parts = jax.tree.map(stack, *[digits(task, seed) for seed in range(seeds)])
    keys = jax.random.split(jax.random.key(1), seeds)
    of_seeds = jax.vmap(run, (None, 0, 0, 0, 0))
    of_rates = jax.vmap(of_seeds, (0, None, None, None, None))
    rates = jnp.array(rates, "float32") / length
    found = jax.jit(of_rates)(rates, states, stacked, parts, keys)
    return [np.asarray(each, "float64") for each in found]


def judged(held_out, rest, rates):
    """For the last and for the best epoch, the rate chosen and the accuracies by seed.

    A run that diverged is right where chance is.
    """
    best = held_out.argmax(-1)[..., None]
    ways = {
        "last epoch": [each[..., -1] for each in (held_out, rest)],
        "best epoch": [
            np.take_along_axis(each, best, -1)[..., 0] for each in (held_out, rest)
        ],
    }
    found = {}
    for way, (by, score) in ways.items():
        chosen = int(by.mean(-1).argmax())
        found[way] = {"rate": rates[chosen], "accuracies": score[chosen].tolist()}
    last = ways["last epoch"][1]
    found["by rate"] = dict(zip(map(str, rates), last.mean(-1).tolist(), strict=True))
    found["all rates"] = {"accuracies": last.mean(0).tolist()}
    return found


def study():
    record = {}
    for name, rules in STUDIES.items():
        record[name] = {}
        for label, (task, rule) in rules.items():
            record[name][label] = judged(*learn(task, rule), rule[2])
            print(name, label, _cells(record[name], label), flush=True)
    return record


def difference(own, base):
    """In points: the mean and half of its 95 % confidence interval, paired by seed."""
    pairs = [100 * (a - b) for a, b in zip(own, base, strict=True)]
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    return statistics.fmean(pairs), stats.t.ppf(0.975, len(pairs) - 1) * error


WAYS = "last epoch", "best epoch", "all rates"


def _cells(rules, label):
    base = rules[next(iter(rules))]
    cells = []
    for way in WAYS:
        found = rules[label][way]
        accuracies = found["accuracies"]
        mean, half = difference(accuracies, base[way]["accuracies"])
        minus = "" if rules[label] is base else f"{mean:+.2f} ± {half:.2f}"
        cells += [f"{found['rate']:g}"] if "rate" in found else []
        cells += [f"{100 * statistics.fmean(accuracies):.2f} %", minus]
    return cells


def table(rules):
    """Markdown: each rule's effective rate, accuracy and difference to the first."""
    columns = [
        f"{'η(1 + ψ) | ' if 'epoch' in way else ''}{way} | minus the first"
        for way in WAYS
    ]
    lines = [f"| | {' | '.join(columns)} |", "| --- |" + " ---: |" * 8]
    lines += [f"| {label} | {' | '.join(_cells(rules, label))} |" for label in rules]
    return "\n".join(lines) + "\n"


def draw(record, path):
    """Accuracy by rate, of the rules that have one grid: those of ASGLD's parts."""
    figure = drawing.canvas(10, 4.6)
    for axes, (name, rules) in zip(
        figure.subplots(1, len(record), sharey=True), record.items(), strict=True
    ):
        drawing.quiet(axes)
        shown = [label for label in rules if "mean" in label or "noise" in label]
        for label, colour in zip(shown, drawing.COLOURS, strict=False):
            dashes = "--" if "mean" in label else "-"
            rates, scores = zip(*rules[label]["by rate"].items(), strict=True)
            axes.plot(
                [float(rate) for rate in rates],
                [100 * score for score in scores],
                dashes,
                color=colour,
                label=label,
            )
        axes.set(xscale="log", xlabel=f"{name}: η(1 + ψ)", ylim=(70, 100))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(
            frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.2)
        )
    drawing.caption(
        figure, "Test accuracy of the last epoch, in percent; dashed: without the noise"
    )
    drawing.save(figure, path)


def tables(record):
    return "\n".join(f"### {name}\n\n{table(rules)}" for name, rules in record.items())


if __name__ == "__main__":
    found = study()
    (RESULTS / "where_noise_helps.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "where_noise_helps.md").write_text(tables(found), encoding="utf-8")
    draw(found, RESULTS / "where_noise_helps.png")
    print(tables(found))
