"""Bayesian logistic regression: the samplers beside the posterior that NUTS finds.

    pip install '.[diagnostics]' blackjax
    KERAS_BACKEND=jax python benchmarks/bayesian_logistic_regression.py

takes about five minutes on two CPU cores and writes a page and its figure,
docs/bayesian_logistic_regression.md and .png, and its record in docs/results. The
data are scikit-learn's breast
cancer data: 569 examples of 30 features, here standardised. Every weight and the bias
have the prior N(0, 1).

A Keras layer of as many units as there are chains runs them side by side: unit i sees
the same minibatches as the others, and its own noise.
"""

import argparse
import json
import pathlib
import time

import blackjax
import jax
import keras
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_breast_cancer

from keras_asgld import BAOA, PSGLD, SGHMC, SGLD, SGNHT, diagnostics
from keras_asgld.reports import drawing

BATCH, PASSES = 128, 22
PRIOR = 1.0
# Chosen by the loss and by R-hat. The largest curvature is about 0.15, the prior's
# 1 / 569, so SGLD forgets a weight that only the prior holds in 1,400 steps. PSGLD's
# rate is divided by the size of a minibatch's gradient, about 0.01.
SETTINGS = {
    "SGLD": (SGLD, {"learning_rate": 0.4}),
    "PSGLD": (PSGLD, {"learning_rate": 0.004}),
    "SGHMC": (SGHMC, {"learning_rate": 0.1, "momentum": 0.9}),
    "BAOA": (BAOA, {"learning_rate": 0.1, "momentum": 0.9}),
    "SGNHT": (SGNHT, {"learning_rate": 0.1, "momentum": 0.9}),
}


def load():
    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return x.astype("float32"), data.target.astype("float32"), list(data.feature_names)


def nuts(x, y, chains=4, warmup=1000, samples=2500):
    """Samples of shape (chains, samples, 31); the bias comes last. And the seconds."""
    x = np.hstack([x, np.ones((len(x), 1), "float32")])

    def log_posterior(weights):
        logits = x @ weights
        likelihood = (y * logits - jax.numpy.logaddexp(0.0, logits)).sum()
        return likelihood - (weights**2).sum() / (2 * PRIOR**2)

    @jax.jit
    def chain(key):
        adapt_key, key = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_posterior)
        (state, numbers), _ = adaptation.run(
            adapt_key, jax.numpy.zeros(x.shape[1]), num_steps=warmup
        )
        step = blackjax.nuts(log_posterior, **numbers).step
        keys = jax.random.split(key, samples)
        return jax.lax.scan(
            lambda state, key: (lambda new: (new, new.position))(step(key, state)[0]),
            state,
            keys,
        )[1]

    start = time.process_time()
    keys = jax.random.split(jax.random.key(0), chains)
    draws = np.stack([chain(key) for key in keys])
    return draws, time.process_time() - start


def sample(optimizer, x, y, chains, steps):
    """As a Keras user samples: fit, and keep the weights of every epoch's end."""
    n = len(x)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(chains, kernel_initializer="zeros"),
        ]
    )

    def loss(labels, logits):
        return keras.ops.sum(keras.ops.softplus(logits) - labels * logits, axis=-1)

    model.compile(optimizer, loss=loss, steps_per_execution=50)
    steps_per_epoch = n * PASSES // BATCH
    epochs = steps // steps_per_epoch
    draws = []

    def keep(epoch, logs):
        if epoch >= epochs // 2:
            kernel, bias = model.get_weights()
            draws.append(np.vstack([kernel, bias[None]]).T)

    rows = np.concatenate(
        [np.random.default_rng(i).permutation(n) for i in range(PASSES)]
    )[: steps_per_epoch * BATCH]
    start = time.process_time()
    model.fit(
        x[rows],
        y[rows, None],
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=keep)],
    )
    return np.stack(draws, axis=1), time.process_time() - start


def figures(draws, seconds):
    """What the chains of (chains, draws, 31) say of themselves."""
    found = diagnostics.convergence(draws)
    effective = float(np.min(found.bulk_ess["draws"]))
    return {
        "rhat": float(np.max(found.rhat["draws"])),
        "bulk_ess": effective,
        "seconds": seconds,
        "ess_a_second": effective / seconds,
        "verdict": str(found),
    }


def agreement(draws, reference, x):
    """How far the draws are from the reference's, both of shape (…, 31)."""
    draws, reference = (each.reshape(-1, each.shape[-1]) for each in (draws, reference))
    shift = np.abs(draws.mean(axis=0) - reference.mean(axis=0)) / reference.std(axis=0)
    ratio = draws.var(axis=0) / reference.var(axis=0)
    probability = np.abs(predictive(draws, x) - predictive(reference, x))
    return {
        "shift_average": float(shift.mean()),
        "shift_largest": float(shift.max()),
        "variance_average": float(ratio.mean()),
        "variance_smallest": float(ratio.min()),
        "variance_largest": float(ratio.max()),
        "probability_largest": float(probability.max()),
    }


def said(name, n):
    sampler, arguments = SETTINGS[name]
    numbers = [f"{value:g}" for value in arguments.values()]
    words = [*numbers, f"examples={n}", f"prior={PRIOR:g}"]
    return f"`{sampler.__name__}({', '.join(words)})`"


def table(record, n):
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    for name, of in record.items():
        if name == "NUTS":
            cells = ["NUTS", *[""] * 5]
        else:
            cells = [
                said(name, n),
                f"{of['shift_average']:.3f}",
                f"{of['shift_largest']:.3f}",
                f"{of['variance_average']:.3f}",
                f"{of['variance_smallest']:.3f} – {of['variance_largest']:.3f}",
                f"{of['probability_largest']:.3f}",
            ]
        cells += [f"{of['rhat']:.3f}", f"{of['bulk_ess']:,.0f}"]
        cells += [f"{of['ess_a_second']:.0f}", f"{of['seconds']:.0f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def predictive(draws, x):
    """The posterior mean of the probability of each example's being benign."""
    logits = x @ draws[:, :-1].T + draws[:, -1]
    return expit(logits).mean(axis=1)


def draw_figure(samples, reference, names, path):
    reference = reference.reshape(-1, reference.shape[-1])
    samples = {name: each.reshape(-1, each.shape[-1]) for name, each in samples.items()}
    styles = drawing.styles([name.lower() for name in samples])
    colours = {name: styles[name.lower()][0] for name in samples}
    figure = drawing.canvas(12, 4.2)
    means, deviations, marginal = figure.subplots(1, 3)
    for axes, moment, title in [
        (means, np.mean, "posterior means"),
        (deviations, np.std, "standard deviations"),
    ]:
        exact = moment(reference, axis=0)
        for name, draws in samples.items():
            words = {"color": colours[name], "label": name}
            axes.scatter(exact, moment(draws, axis=0), s=18, alpha=0.7, lw=0, **words)
        ends = [exact.min(), exact.max()]
        axes.plot(ends, ends, color=drawing.GREY, lw=0.8, zorder=0)
        axes.set_title(f"{title} of 31 weights", **drawing.TITLE)
        axes.set_xlabel("by NUTS", color=drawing.GREY)
        axes.set_ylabel("by the sampler (on the line: equal)", color=drawing.GREY)
        axes.legend(facecolor="white", edgecolor="none", framealpha=1)
        drawing.quiet(axes, grid="both")
    # The weight that the data tell most about, by its shift from the prior.
    widest = int(np.argmax(np.abs(reference[:, :-1].mean(axis=0))))
    bins = np.linspace(*np.percentile(reference[:, widest], [0.02, 99.98]), 60)
    shown = {"bins": bins, "density": True}
    marginal.hist(reference[:, widest], color="#D5D8DC", label="NUTS", **shown)
    for name, draws in samples.items():
        look = {"histtype": "step", "lw": 1.4, "color": colours[name], "label": name}
        marginal.hist(draws[:, widest], **look, **shown)
    marginal.set_title(f"weight of “{names[widest]}”", **drawing.TITLE)
    marginal.set_xlabel("its value; height: how often", color=drawing.GREY)
    marginal.set_yticks([])
    marginal.legend(frameon=False)
    drawing.quiet(marginal)
    drawing.caption(figure, "Bayesian logistic regression: each sampler beside NUTS")
    drawing.save(figure, path)


COLUMNS = [
    "sampler",
    "mean: difference in NUTS's sd, average",
    "largest",
    "variance: ratio to NUTS's, average",
    "range",
    "probability: largest difference",
    "largest R-hat",
    "smallest bulk ESS",
    "ESS a second of CPU time",
    "CPU time",
]
DOCUMENT = """# Bayesian logistic regression against NUTS

What to expect of each sampler on a posterior that is known, with settings that you
can copy: scikit-learn's breast cancer data (569 examples, 30 standardised features,
prior N(0, 1) on each weight and on the bias) sampled in Keras's `fit`, minibatches of
{batch}, {chains} chains of {steps} steps of which the first half is burn-in, beside
BlackJAX's NUTS (4 chains of 2,500 samples).

![Against NUTS: means, deviations, one marginal](bayesian_logistic_regression.png)

{table}

The difference of probabilities is over the posterior predictive probabilities of the
569 examples. R-hat and ESS are those of the 31 weights, by `keras_asgld.diagnostics`.
Time is that of the processors, two cores together, with burn-in and compilation; it
divides the smallest ESS. The chains of a sampler see the same minibatches, which saves
time; `Chains` gives each an order of its own.

By the rule of the diagnostics chains with an R-hat above 1.01 have not converged yet:
each is too short by itself for the weights that only the prior holds, though all of
them together agree with NUTS. The samplers with momentum come closest in as many steps.
`SGNHT`'s variances are 2 % too small here, and the more so the noisier the gradients:
0.6 % with all examples in each step and 8 % with minibatches of 32. Probably each of
its thermostats sees one weight by itself, while minibatch noise is correlated among
weights.

The posterior is said in words, `examples` and `prior`; learning rates and lengths were
chosen by the curvature of the loss and by R-hat, not for their agreement with NUTS.
With so little data NUTS is the better tool; the samplers are for what it cannot do,
networks and minibatches. What their widths owe to steps and minibatches is in
[bias.md](bias.md). Made by

```
KERAS_BACKEND=jax python benchmarks/bayesian_logistic_regression.py
```

([record](results/bayesian_logistic_regression.json)).
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out_dir", type=pathlib.Path, default="docs")
    parser.add_argument("--chains", type=int, default=20, help="of each sampler")
    parser.add_argument("--steps", type=int, default=240_000, help="half is burn-in")
    arguments = parser.parse_args()
    x, y, names = load()
    keras.utils.set_random_seed(0)
    reference, seconds = nuts(x, y)
    record = {"NUTS": figures(reference, seconds)}
    print(record, flush=True)
    samples, out_dir = {}, arguments.out_dir
    (out_dir / "results").mkdir(parents=True, exist_ok=True)
    path = out_dir / "bayesian_logistic_regression.png"
    for seed, (name, (sampler, numbers)) in enumerate(SETTINGS.items(), 1):
        optimizer = sampler(**numbers, examples=len(x), prior=PRIOR, seed=seed)
        samples[name], seconds = sample(
            optimizer, x, y, arguments.chains, arguments.steps
        )
        found = agreement(samples[name], reference, x)
        record[name] = {**found, **figures(samples[name], seconds)}
        print(name, record[name], flush=True)
    text = json.dumps(record, indent=1) + "\n"
    (out_dir / "results" / "bayesian_logistic_regression.json").write_text(text)
    draw_figure(samples, reference, names, path)
    document = DOCUMENT.format(
        batch=BATCH,
        chains=arguments.chains,
        steps=f"{arguments.steps:,}",
        table=table(record, len(x)),
    )
    path.with_suffix(".md").write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
