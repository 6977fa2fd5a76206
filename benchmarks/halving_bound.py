"""How much noise is ASGLD's, measured in halvings of the batch?

    KERAS_BACKEND=jax python benchmarks/halving_bound.py

takes about five minutes on two CPU cores and writes halving_bound.json, .md and .png
in docs/results. In the long run the gradient noise of a batch, of variance s^2,
spreads weights that nothing pulls back by (eta (1 + psi))^2 s^2 a step, and ASGLD's own
noise by (eta psi)^2 E C, where E C = 2 rho / (1 + rho) s^2. So, measured in what half
the batch would add,

    ratio = (psi / (1 + psi))^2 * 2 rho / (1 + rho) < 1

for every psi: such weights get at most the noise of halving the batch. Measured is

    ratio = (V[noise on, batch B] - V[off, B]) / (V[off, B/2] - V[off, B])

where V is the variance over 64 runs from one state, each with batches and noise of its
own, after some steps at one effective rate eta (1 + psi); "off" is ASGLD's mean without
its noise. On a loss that is nearly flat the weights' variance should follow the law. Of
a network (two layers on the handwritten digits, half trained) the variance of the
weights and that of the logits of unseen digits are measured. Expected before it was
run: the weights near the law, the logits below it, because a batch's noise lies where
the loss is steep, and ASGLD's, which knows no covariances, does not.
"""

import json
import pathlib

import jax
import keras
import numpy as np
from jax import flatten_util
from jax import numpy as jnp

from keras_asgld import data, models
from keras_asgld.reports import drawing
from keras_asgld.runs.controls import Control

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
RHO, PSIS, RATE = 0.9, (0.3, 1.0, 3.0, 9.0), 0.05
RUNS, WARM_UP, STEPS, BATCH = 64, 100, (30, 100, 300), 64
WEIGHTS = 10_000  # where the loss is nearly flat
CURVATURE = 1e-3  # so small that the weights forget little in these steps


def law(psi, steps=None, rho=RHO):
    """The ratio of weights that nothing pulls back; of many steps without a number.

    The share of a gradient that the mean still holds back, rho^j after j steps, counts
    in a few steps.
    """
    if steps is None:
        return (psi / (1 + psi)) ** 2 * 2 * rho / (1 + rho)
    of_the_batch = (1 + psi * (1 - rho ** np.arange(1, steps + 1))) ** 2
    return float(psi**2 * 2 * rho / (1 + rho) / of_the_batch.mean())


class NearlyFlat:
    """Independent weights, whose gradient has noise of variance 1 / batch."""

    def __init__(self):
        self.start = [np.zeros(WEIGHTS, "float32")]

    def gradient(self, values, key, batch):
        noise = jax.random.normal(key, values[0].shape) / jnp.sqrt(batch)
        return [CURVATURE * values[0] + noise]

    def measured(self, values):
        return {"nearly flat": values[0]}


class Network:
    """Two layers on the handwritten digits, as ten epochs of SGD leave them."""

    def __init__(self):
        digits = data.load("digits", batch_size=BATCH)
        self.x, self.y = map(jnp.asarray, digits.train_examples)
        self.unseen = jnp.asarray(digits.test_examples.inputs)
        self.model = models.build("mlp", self.x.shape[1:], 10, seed=0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.SGD(RATE), loss)
        keras.utils.set_random_seed(0)
        self.model.fit(self.x, self.y, batch_size=BATCH, epochs=10, verbose=0)
        assert not self.model.non_trainable_variables  # no state but the weights
        self.start = [np.asarray(v.value) for v in self.model.trainable_variables]

    def _logits(self, values, x):
        return self.model.stateless_call(values, [], x)[0]

    def _loss(self, values, x, y):
        logits = self._logits(values, x)
        return keras.losses.sparse_categorical_crossentropy(
            y, logits, from_logits=True
        ).mean()

    def gradient(self, values, key, batch):
        chosen = jax.random.randint(key, (batch,), 0, len(self.x))
        return jax.grad(self._loss)(values, self.x[chosen], self.y[chosen])

    def measured(self, values):
        weights = jnp.concatenate([value.ravel() for value in values])
        return {"weights": weights, "logits": self._logits(values, self.unseen)}

    def curvature(self):
        """Of the training loss where all runs begin, over all directions of weights."""
        start, shaped = flatten_util.ravel_pytree(list(map(jnp.asarray, self.start)))
        slope = jax.grad(lambda flat: self._loss(shaped(flat), self.x, self.y))
        along = lambda way: jax.jvp(slope, (start,), (way,))[1]  # noqa: E731
        hessian = jax.lax.map(along, jnp.eye(len(start)), batch_size=32)
        found = np.linalg.eigvalsh(np.asarray(hessian, "float64"))
        return {"mean": float(found.mean()), "largest": float(found[-1])}


def spread(task, psi, kind, batch):
    """Each run's squared distance from the mean of the runs, by quantity and steps."""
    optimizer = Control(
        kind=kind, learning_rate=RATE / (1 + psi), momentum=RHO, noise=psi, seed=0
    )
    weights = [keras.Variable(value) for value in task.start]
    optimizer.build(weights)

    def step(state, key):
        variables, values = state
        gradients = task.gradient(values, key, batch)
        values, variables = optimizer.stateless_apply(variables, gradients, values)
        return (variables, values), None

    def go(state, key, steps):
        return jax.lax.scan(step, state, jax.random.split(key, steps))[0]

    # One way to where all begin, so that mean and variance are those of long training.
    state = [v.value for v in optimizer.variables], [w.value for w in weights]
    variables, values = jax.jit(go, static_argnums=2)(state, jax.random.key(1), WARM_UP)
    for variable, value in zip(optimizer.variables, variables, strict=True):
        variable.assign(value)
    stacked = optimizer.stacked_variables(range(RUNS))

    def run(variables, key):
        state, done, found = (variables, values), 0, []
        for steps in STEPS:
            key, of_these = jax.random.split(key)
            state = go(state, of_these, steps - done)
            done = steps
            found.append(task.measured(state[1]))
        return found

    keys = jax.random.split(jax.random.key(2), RUNS)
    found = jax.jit(jax.vmap(run))(stacked, keys)
    return {
        (name, steps): _distances(np.asarray(values, "float64"))
        for steps, quantities in zip(STEPS, found, strict=True)
        for name, values in quantities.items()
    }


def _distances(found):
    found = found.reshape(RUNS, -1)
    return ((found - found.mean(axis=0)) ** 2).sum(axis=1)


def ratio(noisy, plain, half):
    """The measured ratio, and its standard error by the jackknife over the runs."""
    value = lambda keep: (  # noqa: E731
        (noisy[keep].mean() - plain[keep].mean())
        / (half[keep].mean() - plain[keep].mean())
    )
    runs = np.arange(len(plain))
    left_out = np.array([value(runs != run) for run in runs])
    error = np.sqrt((len(runs) - 1) * left_out.var())
    return {"ratio": float(value(runs >= 0)), "standard_error": float(error)}


def study(task, psis=PSIS):
    """The ratio of each quantity of a task, by psi and steps."""
    cells = []
    for psi in psis:
        ways = ("own", BATCH), ("none", BATCH), ("none", BATCH // 2)
        noisy, plain, half = (spread(task, psi, *way) for way in ways)
        for name, steps in noisy:
            found = ratio(*(way[name, steps] for way in (noisy, plain, half)))
            cells.append({"quantity": name, "psi": psi, "steps": steps, **found})
            print(cells[-1], flush=True)
    return cells


def _quantities(cells):
    return list(dict.fromkeys(cell["quantity"] for cell in cells))


def table(cells):
    """Markdown: the law, and each quantity's ratio ± two standard errors."""
    quantities = _quantities(cells)
    lines = [
        f"| ψ | steps | law | {' | '.join(quantities)} |",
        "| ---: | ---: | ---: |" + " ---: |" * len(quantities),
    ]
    for psi, steps in dict.fromkeys((cell["psi"], cell["steps"]) for cell in cells):
        row = {
            cell["quantity"]: f"{cell['ratio']:.2f} ± {2 * cell['standard_error']:.2f}"
            for cell in cells
            if (cell["psi"], cell["steps"]) == (psi, steps)
        }
        found = " | ".join(row[quantity] for quantity in quantities)
        lines.append(f"| {psi:g} | {steps} | {law(psi, steps):.2f} | {found} |")
    return "\n".join(lines) + "\n"


def draw(cells, path):
    figure = drawing.canvas(8.4, 3.8)
    by_psi, by_steps = figure.subplots(1, 2, sharey=True)
    for axes, x, places, (other, at) in (
        (by_psi, "psi", PSIS, ("steps", STEPS[-1])),
        (by_steps, "steps", STEPS, ("psi", PSIS[-1])),
    ):
        drawing.quiet(axes)
        for colour, quantity in zip(drawing.COLOURS, _quantities(cells), strict=False):
            of_it = [c for c in cells if (c["quantity"], c[other]) == (quantity, at)]
            axes.errorbar(
                [cell[x] for cell in of_it],
                [cell["ratio"] for cell in of_it],
                [2 * cell["standard_error"] for cell in of_it],
                fmt="o-",
                color=colour,
                capsize=3,
                label=quantity,
            )
        axes.set(xscale="log", yscale="log")
        axes.minorticks_off()
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.yaxis.set_major_formatter("{x:g}")
    psis, steps = (np.geomspace(x[0], x[-1], 100) for x in (PSIS, STEPS))
    by_psi.plot(
        psis, [law(p, STEPS[-1]) for p in psis], color=drawing.GREY, label="law"
    )
    by_steps.plot(steps, [law(PSIS[-1], int(n)) for n in steps], color=drawing.GREY)
    by_psi.set(xlabel=f"noise scale ψ, after {STEPS[-1]} steps")
    by_psi.set_ylabel("noise, in halvings of the batch")
    by_steps.set(xlabel=f"steps, at ψ = {PSIS[-1]:g}")
    by_psi.legend(frameon=False)
    drawing.caption(figure, f"ASGLD's noise, ρ = {RHO}; bars: two standard errors")
    drawing.save(figure, path)


def main():
    network = Network()
    cells = study(NearlyFlat()) + study(network)
    record = {"curvature": network.curvature(), "cells": cells}
    (RESULTS / "halving_bound.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "halving_bound.md").write_text(table(cells), encoding="utf-8")
    draw(cells, RESULTS / "halving_bound.png")
    print(table(cells))


if __name__ == "__main__":
    main()
