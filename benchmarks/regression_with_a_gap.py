"""A Bayesian neural network on a regression with a gap: BAOA's band beside NUTS's.

    pip install '.[diagnostics]'
    KERAS_BACKEND=jax python benchmarks/regression_with_a_gap.py

takes some ten minutes on two CPU cores and writes docs/regression_with_a_gap.png and
the table and record in docs/results. NUTS's predictions are read from
docs/results/regression_with_a_gap_nuts.json; with `--nuts` (and BlackJAX installed)
they are made anew, which takes about eight minutes more.

80 observations of sin(3 x), with noise of standard deviation 0.1, lie on both sides of
a gap. The network has one hidden layer of 50 tanh units. Its inputs and hidden
units are rescaled by constants, so that N(0, 1) is a fair prior of every weight.
"""

import argparse
import json
import pathlib
import tempfile
import time
import warnings

import keras
import numpy as np

from keras_asgld import BAOA, SGHMC, Chains, diagnostics
from keras_asgld.reports import drawing

UNITS, NOISE, GAP = 50, 0.1, (-0.5, 0.5)
GRID = np.linspace(-2, 2, 81).astype("float32")[:, None]
# Steps of an epoch, each of which sees all observations; a member is kept of each.
PASSES = 250
CHAINS, EPOCHS, BURN_IN = 4, 320, 80
SETTINGS = {
    "BAOA": (BAOA, {"learning_rate": 0.003, "momentum": 0.98}),
    "SGHMC": (SGHMC, {"learning_rate": 0.003, "momentum": 0.98}),
    "BAOA, larger steps": (BAOA, {"learning_rate": 0.006, "momentum": 0.97}),
}


def data():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-1.5, -0.5, 40), rng.uniform(0.5, 1.5, 40)])
    y = np.sin(3 * x) + NOISE * rng.normal(size=len(x))
    return x[:, None].astype("float32"), y[:, None].astype("float32")


def network():
    """Weights begin as draws from the prior."""
    prior = {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=1.0),
        "bias_initializer": keras.initializers.RandomNormal(stddev=1.0),
    }
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Rescaling(2.0),
            keras.layers.Dense(UNITS, activation="tanh", **prior),
            keras.layers.Rescaling(2 / UNITS**0.5),
            keras.layers.Dense(1, **prior),
        ]
    )


def negative_log_likelihood(y_true, y_pred):
    return keras.ops.square(y_true - y_pred) / (2 * NOISE**2)


def sample(name, epochs=EPOCHS, burn_in=BURN_IN, chains=CHAINS):
    """Predictions on the grid of shape (chains, members, points), and the seconds."""
    x, y = data()
    sampler, arguments = SETTINGS[name]
    model = network()
    model.compile(
        sampler(**arguments, examples=len(x), prior=1.0, seed=0),
        negative_log_likelihood,
        steps_per_execution=PASSES,
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # An epoch has all examples many times over, and on purpose.
        warnings.filterwarnings("ignore", "`examples` is the number")
        runs = Chains(model, chains, folder, burn_in=burn_in, activation="linear")
        runs.fit(
            np.tile(x, (PASSES, 1)),
            np.tile(y, (PASSES, 1)),
            batch_size=len(x),
            shuffle=False,
            epochs=epochs,
            verbose=0,
        )
        seconds = time.perf_counter() - start
        return runs.draws(GRID)[..., 0], seconds


def nuts(chains=4, warmup=500, samples=500):
    """As `sample`, of the same network under the same prior, by BlackJAX."""
    import blackjax
    import jax

    x, y = data()
    model = network()

    def predict(weights, x):
        return model.stateless_call(weights, [], x)[0]

    def log_posterior(weights):
        losses = negative_log_likelihood(y, predict(weights, x))
        return -losses.sum() - sum((weight**2).sum() for weight in weights) / 2

    @jax.jit
    def chain(key):
        first, adapt, key = jax.random.split(key, 3)
        shapes = [weight.shape for weight in model.trainable_variables]
        keys = jax.random.split(first, len(shapes))
        weights = [jax.random.normal(*each) for each in zip(keys, shapes, strict=True)]
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_posterior)
        (state, numbers), _ = adaptation.run(adapt, weights, num_steps=warmup)
        step = blackjax.nuts(log_posterior, **numbers).step

        def one(state, key):
            state, _ = step(key, state)
            return state, predict(state.position, GRID)[:, 0]

        return jax.lax.scan(one, state, jax.random.split(key, samples))[1]

    start = time.perf_counter()
    keys = jax.random.split(jax.random.key(0), chains)
    draws = np.stack([chain(key) for key in keys])
    return draws, time.perf_counter() - start


def summary(draws, seconds):
    found = diagnostics.convergence(draws)
    effective = float(np.min(found.bulk_ess["draws"]))
    return {
        "mean": draws.mean(axis=(0, 1)).round(5).tolist(),
        "sd": draws.std(axis=(0, 1)).round(5).tolist(),
        "rhat": round(float(np.max(found.rhat["draws"])), 4),
        "bulk_ess": round(effective),
        "seconds": round(seconds),
        "verdict": str(found),
    }


def in_gap():
    return (GAP[0] < GRID[:, 0]) & (GRID[:, 0] < GAP[1])


def compare(ours, reference):
    """In the gap: the range of the ratio of widths, and the largest shift of the mean.

    The shift is in standard deviations of the reference.
    """
    gap = in_gap()
    sd, mean = (np.array(reference[key])[gap] for key in ("sd", "mean"))
    ratio = np.array(ours["sd"])[gap] / sd
    shift = np.abs(np.array(ours["mean"])[gap] - mean) / sd
    return float(ratio.min()), float(ratio.max()), float(shift.max())


def table(record, reference):
    lines = [
        "| | learning rate, momentum | width / NUTS's, in the gap | largest shift of "
        "the mean, in NUTS's sd | largest R-hat | smallest bulk ESS |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        f"| NUTS | | | | {reference['rhat']:.3f} | {reference['bulk_ess']:,} |",
    ]
    for name, ours in record.items():
        low, high, shift = compare(ours, reference)
        arguments = SETTINGS[name][1]
        lines.append(
            f"| {name} | {arguments['learning_rate']:g}, {arguments['momentum']:g} "
            f"| {low:.2f} – {high:.2f} | {shift:.2f} "
            f"| {ours['rhat']:.3f} | {ours['bulk_ess']:,} |"
        )
    return "\n".join(lines) + "\n"


def draw(ours, reference, path):
    x, y = data()
    blue, red = drawing.COLOURS[2], drawing.COLOURS[0]
    figure = drawing.canvas(10, 4.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = "BAOA, from fit", "NUTS, the reference"
    for axes, title, found in zip(panels, titles, [ours, reference], strict=True):
        mean, sd = np.array(found["mean"]), np.array(found["sd"])
        for width, alpha in [(2, 0.2), (1, 0.3)]:
            band = mean - width * sd, mean + width * sd
            label = f"± {width} standard deviation{'s' * (width > 1)}"
            axes.fill_between(
                GRID[:, 0], *band, color=blue, alpha=alpha, lw=0, label=label
            )
        axes.plot(GRID[:, 0], mean, color=blue, label="mean")
        truth = np.sin(3 * GRID[:, 0])
        axes.plot(GRID[:, 0], truth, "--", color=drawing.GREY, lw=1, label="sin(3 x)")
        axes.plot(x, y, "o", color=red, ms=3, label="observations")
        axes.set_title(title, **drawing.TITLE)
        axes.set_xlabel("x", color=drawing.GREY)
        drawing.quiet(axes)
    keys = panels[0].get_legend_handles_labels()
    figure.legend(*keys, loc="outside lower center", ncols=len(keys[0]), frameon=False)
    drawing.caption(
        figure, f"A network's output given {len(x)} observations: mean and band"
    )
    drawing.save(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out_dir", type=pathlib.Path, default="docs")
    parser.add_argument("--nuts", action="store_true", help="make NUTS's part anew")
    arguments = parser.parse_args()
    out, results = arguments.out_dir, arguments.out_dir / "results"
    results.mkdir(parents=True, exist_ok=True)
    path = results / "regression_with_a_gap_nuts.json"
    if arguments.nuts:
        path.write_text(json.dumps(summary(*nuts()), indent=1) + "\n")
    reference = json.loads(path.read_text())
    print("NUTS:", reference["verdict"], flush=True)
    record = {}
    for name in SETTINGS:
        record[name] = summary(*sample(name))
        print(f"{name}:", record[name]["verdict"], flush=True)
        print(table(record, reference), flush=True)
        text = json.dumps(record, indent=1) + "\n"
        (results / "regression_with_a_gap.json").write_text(text)
    text = table(record, reference)
    (results / "regression_with_a_gap.md").write_text(text, encoding="utf-8")
    draw(record["BAOA"], reference, out / "regression_with_a_gap.png")


if __name__ == "__main__":
    main()
