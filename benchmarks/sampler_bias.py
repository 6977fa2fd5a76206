"""How much too wide is each sampler's distribution: by its law, and measured.

    KERAS_BACKEND=jax python benchmarks/sampler_bias.py

takes about five minutes on two CPU cores and writes the table and the picture of
docs/bias.md: benchmarks/results/sampler_bias.json, .md and .png. The loss is a
quadratic of curvature a = 1 at temperature T = 1, whose gradient has noise of
variance s²; the variance should be T / a = 1. `LAWS` are the formulas of the samplers'
docstrings.
"""

import argparse
import json
import pathlib

import jax
import keras
import numpy as np

from keras_asgld import BAOA, PSGLD, SGHMC, SGLD, SGNHT
from keras_asgld.reports import drawing

STEPS = (0.01, 0.1, 0.5, 1.0)
NOISES = (0, 1, 10, 100)
TICKS = (0, 5, 10, 100, 1000, 10_000)  # of the picture, in per cent
MOMENTUM, RHO = 0.9, 0.9999
# Chains and snapshots of each; one snapshot more costs the thermostats little beside
# their thousands of steps of burn-in.
COUNTS = {"SGNHT": (5_000, 100)}
COUNTS |= dict.fromkeys(["SGLD", "PSGLD", "SGHMC", "BAOA"], (50_000, 10))


def sgld(h, s2):
    return (1 + h * s2 / 2) / (1 - h / 2)


def psgld(h, s2):
    """To first order in the fluctuation of the velocity, whose mean is v."""
    k, variance = 1 - RHO, 1.0
    for _ in range(200):
        v = variance + s2
        follows_weights = 2 * variance**2 / (1 - RHO * (1 - h) ** 2) * (1 - h)
        follows_noise = 2 * s2 * variance * (1 - 2 * h) - 2 * h * s2**2
        variance = 2 * h + h**2 * s2 + h * k / v * (follows_weights + follows_noise)
        variance /= 2 * h - h**2
    return variance


def sghmc(h, s2):
    widened = 1 + h * s2 / (2 * (1 - MOMENTUM))
    return widened / (1 - h / (2 * (1 + MOMENTUM)))


def baoa(h, s2):
    return 1 + h * s2 / (2 * (1 - MOMENTUM)) / (1 - h / (2 * (1 + MOMENTUM)))


def sgnht(h, s2):
    """One, until a friction of one cannot take up all of the heat."""
    return max(1.0, (2 * (1 - MOMENTUM) + h * s2) / (2 - h))


LAWS = {"SGLD": sgld, "PSGLD": psgld, "SGHMC": sghmc, "BAOA": baoa, "SGNHT": sgnht}


def started(name, h, s2, chains):
    """The optimizer and its variable, which begins with the variance of the law."""
    rng = np.random.default_rng(1)
    law = LAWS[name](h, s2)
    size = np.sqrt(law + s2)  # of the gradient
    optimizer = {
        "SGLD": lambda: SGLD(h, 1.0, seed=5),
        "PSGLD": lambda: PSGLD(h * size, 1.0, rho=RHO, seed=5),
        "SGHMC": lambda: SGHMC(h, MOMENTUM, 1.0, seed=5),
        "BAOA": lambda: BAOA(h, MOMENTUM, 1.0, seed=5),
        "SGNHT": lambda: SGNHT(h, MOMENTUM, 1.0, seed=5),
    }[name]()
    start = np.sqrt(law) * rng.standard_normal(chains)
    theta = keras.Variable(start.astype("float32"))
    optimizer.build([theta])
    if name == "PSGLD":  # as after a long run
        optimizer.iterations.assign(100_000)
        optimizer.slots(theta)[0].assign(np.full(chains, size**2, "float32"))
    return optimizer, theta


def measure(name, h, s2):
    """The variance, and its standard error from the chains' own averages."""
    chains, snapshots = COUNTS[name]
    optimizer, theta = started(name, h, s2, chains)
    # In how many steps the weights forget; the thermostats take 1 / coupling.
    memory = 1 / h if name in ("SGLD", "PSGLD") else 2 / (1 - MOMENTUM)
    burn_in = 5000 if name == "SGNHT" else int(5 * memory)
    apart = max(int(memory), 2)

    def step(state, key):
        variables, [value] = state
        gradient = value + jax.numpy.sqrt(s2) * jax.random.normal(key, value.shape)
        values, variables = optimizer.stateless_apply(variables, [gradient], [value])
        return (variables, values), None

    def snapshot(state, key):
        state, _ = jax.lax.scan(step, state, jax.random.split(key, apart))
        return state, state[1][0] ** 2

    @jax.jit
    def run(state, key):
        burn, key = jax.random.split(key)
        state, _ = jax.lax.scan(step, state, jax.random.split(burn, burn_in))
        return jax.lax.scan(snapshot, state, jax.random.split(key, snapshots))[1]

    state = [v.value for v in optimizer.variables], [theta.value]
    squares = np.asarray(run(state, jax.random.key(0)), "float64").mean(axis=0)
    return float(squares.mean()), float(squares.std() / np.sqrt(chains))


def percent(ratio):
    bias = 100 * (ratio - 1)
    text = f"{bias:+.0f}" if abs(bias) >= 99.5 else f"{bias:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def table(cells):
    """Markdown: the law's bias in per cent and, in brackets, the measured one."""
    lines = [
        "| s² / (a T) | sampler | " + " | ".join(f"{h:g}" for h in STEPS) + " |",
        "| ---: | --- |" + " ---: |" * len(STEPS),
    ]
    for s2 in NOISES:
        for name in LAWS:
            found = {
                cell["step"]: f"{percent(cell['law'])} ({percent(cell['measured'])})"
                for cell in cells
                if (cell["sampler"], cell["noise"]) == (name, s2)
            }
            row = " | ".join(found[h] for h in STEPS)
            lines.append(f"| {s2} | `{name}` | {row} |")
    return "\n".join(lines) + "\n"


def draw(cells, path):
    figure = drawing.canvas(12, 3.9)
    panels = figure.subplots(1, len(NOISES), sharey=True)
    steps = np.geomspace(STEPS[0], STEPS[-1], 200)
    styles = drawing.styles([name.lower() for name in LAWS])
    for axes, s2 in zip(panels, NOISES, strict=True):
        for name, law in LAWS.items():
            colour, _ = styles[name.lower()]
            # Of two with almost the same bias the lower is wide or the upper dashed.
            wide = name in ("SGLD", "SGHMC")
            dash = drawing.DASHES[name == "SGNHT"]
            curve = [100 * (law(h, s2) - 1) for h in steps]
            look = {"lw": 5 if wide else 1.6, "alpha": 0.5 if wide else 1}
            axes.plot(steps, curve, color=colour, linestyle=dash, label=name, **look)
            dots = [c for c in cells if (c["sampler"], c["noise"]) == (name, s2)]
            biases = [100 * (c["measured"] - 1) for c in dots]
            size = 8 if wide else 4
            axes.plot([c["step"] for c in dots], biases, "o", color=colour, ms=size)
        words = f"minibatch noise s² = {s2} a T" if s2 else "no minibatch noise"
        axes.set_title(words, **drawing.TITLE | {"fontsize": 10.5})
        axes.set_xscale("log")
        axes.set_xlabel("step × curvature", color=drawing.GREY)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_yticks(TICKS, [f"{tick:,} %" for tick in TICKS])
        axes.minorticks_off()
        drawing.quiet(axes)
    panels[0].legend(frameon=False, fontsize=9)
    drawing.caption(
        figure,
        "By how much the variance is too large: lines by law, dots measured (decades "
        "from 10 % on)",
    )
    drawing.save(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out_dir", type=pathlib.Path, default="benchmarks/results")
    out = parser.parse_args().out_dir
    cells = []
    for s2 in NOISES:
        for name, law in LAWS.items():
            for h in STEPS:
                measured, error = measure(name, h, s2)
                cell = {"sampler": name, "step": h, "noise": s2, "law": law(h, s2)}
                cells.append({**cell, "measured": measured, "standard_error": error})
                print(cells[-1], flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "sampler_bias.json").write_text(json.dumps(cells, indent=1) + "\n")
    (out / "sampler_bias.md").write_text(table(cells), encoding="utf-8")
    draw(cells, out / "sampler_bias.png")


if __name__ == "__main__":
    main()
