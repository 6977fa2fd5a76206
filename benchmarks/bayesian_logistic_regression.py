"""Bayesian logistic regression: SGLD and SGHMC beside the posterior that NUTS finds.

    pip install keras_asgld[plots] blackjax
    KERAS_BACKEND=jax python benchmarks/bayesian_logistic_regression.py

takes about three minutes on two CPU cores and writes a page and its figure,
docs/bayesian_logistic_regression.md and .png. The data are scikit-learn's breast
cancer data: 569 examples of 30 features, here standardised. Every weight and the bias
have the prior N(0, 1).

A Keras layer of as many units as there are chains runs them side by side: unit i sees
the same minibatches as the others, and its own noise.
"""

import pathlib
import time

import jax
import keras
import matplotlib

matplotlib.use("Agg")

import blackjax
import matplotlib.pyplot as plt
import numpy as np
from absl import app, flags
from scipy.special import expit
from sklearn.datasets import load_breast_cancer

from keras_asgld import SGHMC, SGLD

OUT_DIR = flags.DEFINE_string("out_dir", "docs", "Where the figure and table go.")
CHAINS = flags.DEFINE_integer("chains", 500, "Chains of SGLD and of SGHMC.")
STEPS = flags.DEFINE_integer("steps", 30_000, "Steps; the first half is burn-in.")

BATCH, PASSES = 128, 45
COLOURS = {"SGLD": "tab:blue", "SGHMC": "tab:orange"}


def load():
    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return x.astype("float32"), data.target.astype("float32"), list(data.feature_names)


def nuts(x, y, chains=4, warmup=1000, samples=2500):
    """Samples of shape (chains * samples, 31); the bias comes last."""
    x = np.hstack([x, np.ones((len(x), 1), "float32")])

    def log_posterior(weights):
        logits = x @ weights
        likelihood = (y * logits - jax.numpy.logaddexp(0.0, logits)).sum()
        return likelihood - (weights**2).sum() / 2

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

    draws = np.stack(
        [chain(key) for key in jax.random.split(jax.random.key(0), chains)]
    )
    means = draws.mean(axis=1)
    between = means.var(axis=0, ddof=1)
    within = draws.var(axis=1, ddof=1).mean(axis=0)
    r_hat = np.sqrt(1 + between / within).max()
    print(f"NUTS: {chains} x {samples} samples, largest R-hat {r_hat:.4f}")
    return draws.reshape(-1, x.shape[1])


def sample(optimizer, x, y):
    """As a Keras user samples: fit, and keep the weights of every epoch's end."""
    n, chains = len(x), CHAINS.value
    # The prior N(0, 1), for a loss that is a mean over n examples.
    prior = keras.regularizers.L2(0.5 / n)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(
                chains,
                kernel_initializer="zeros",
                kernel_regularizer=prior,
                bias_regularizer=prior,
            ),
        ]
    )

    def loss(labels, logits):
        return keras.ops.sum(keras.ops.softplus(logits) - labels * logits, axis=-1)

    model.compile(optimizer, loss=loss, steps_per_execution=50)
    steps_per_epoch = n * PASSES // BATCH
    epochs = STEPS.value // steps_per_epoch
    draws = []

    def keep(epoch, logs):
        if epoch >= epochs // 2:
            kernel, bias = model.get_weights()
            draws.append(np.vstack([kernel, bias[None]]).T)

    rows = np.concatenate(
        [np.random.default_rng(i).permutation(n) for i in range(PASSES)]
    )[: steps_per_epoch * BATCH]
    start = time.perf_counter()
    model.fit(
        x[rows],
        y[rows, None],
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=keep)],
    )
    return np.concatenate(draws), time.perf_counter() - start


def row(name, optimizer, draws, reference, x, seconds):
    difference = (draws.mean(axis=0) - reference.mean(axis=0)) / reference.std(axis=0)
    ratio = draws.std(axis=0) / reference.std(axis=0)
    probability = [predictive(each, x) for each in (draws, reference)]
    return (
        f"| {name} | {float(optimizer.learning_rate):g} "
        f"| {np.abs(difference).mean():.3f} | {np.abs(difference).max():.3f} "
        f"| {ratio.mean():.3f} | {ratio.min():.3f} – {ratio.max():.3f} "
        f"| {np.abs(probability[0] - probability[1]).max():.3f} | {seconds:.0f} s |"
    )


def predictive(draws, x):
    """The posterior mean of the probability of each example's being benign."""
    logits = x @ draws[:, :-1].T + draws[:, -1]
    return expit(logits).mean(axis=1)


def draw_figure(samples, reference, names, path):
    figure, (means, deviations, marginal) = plt.subplots(1, 3, figsize=(12, 3.8))
    for name, draws in samples.items():
        for axes, moment in [(means, np.mean), (deviations, np.std)]:
            axes.scatter(
                moment(reference, axis=0),
                moment(draws, axis=0),
                s=18,
                alpha=0.7,
                color=COLOURS[name],
                label=name,
            )
    for axes, title in [(means, "posterior mean"), (deviations, "standard deviation")]:
        axes.set(title=f"{title} of the 31 weights", xlabel="NUTS", ylabel="sampled")
        low, high = axes.get_xlim()
        axes.plot([low, high], [low, high], color="grey", lw=0.8, zorder=0)
        axes.legend(frameon=False)
    # The weight that the data tell most about, by its shift from the prior.
    widest = int(np.argmax(np.abs(reference[:, :-1].mean(axis=0))))
    bins = np.linspace(*np.percentile(reference[:, widest], [0.02, 99.98]), 60)
    marginal.hist(
        reference[:, widest], bins, density=True, color="lightgrey", label="NUTS"
    )
    for name, draws in samples.items():
        marginal.hist(
            draws[:, widest],
            bins,
            density=True,
            histtype="step",
            lw=1.4,
            color=COLOURS[name],
            label=name,
        )
    marginal.set(title=f"weight of “{names[widest]}”", yticks=[])
    marginal.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


COLUMNS = [
    "sampler",
    "learning rate",
    "mean: difference in NUTS's sd, average",
    "largest",
    "sd: ratio to NUTS's, average",
    "range",
    "probability: largest difference",
    "time",
]
DOCUMENT = """# Bayesian logistic regression against NUTS

Scikit-learn's breast cancer data (569 examples, 30 standardised features, prior
N(0, 1) on each weight and on the bias) sampled by `SGLD` and `SGHMC` in Keras's `fit`,
minibatches of {batch}, {chains} chains of {steps} steps of which the first half is
burn-in, beside BlackJAX's NUTS (4 chains of 2,500 samples).

![Against NUTS: means, deviations, one marginal](bayesian_logistic_regression.png)

{header}
{rows}

The difference of probabilities is over the posterior predictive probabilities of
the 569 examples. Made by

```
KERAS_BACKEND=jax python benchmarks/bayesian_logistic_regression.py
```
"""


def main(_):
    x, y, names = load()
    keras.utils.set_random_seed(0)
    reference = nuts(x, y)
    temperature = 1 / len(x)
    optimizers = {
        "SGLD": SGLD(0.2, temperature, seed=1),
        "SGHMC": SGHMC(0.03, 0.9, temperature, seed=2),
    }
    samples, rows = {}, []
    for name, optimizer in optimizers.items():
        samples[name], seconds = sample(optimizer, x, y)
        rows.append(row(name, optimizer, samples[name], reference, x, seconds))
        print(rows[-1], flush=True)
    out_dir = pathlib.Path(OUT_DIR.value)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "bayesian_logistic_regression.png"
    draw_figure(samples, reference, names, path)
    document = DOCUMENT.format(
        batch=BATCH,
        chains=CHAINS.value,
        steps=f"{STEPS.value:,}",
        header="| " + " | ".join(COLUMNS) + " |" + "\n|" + " --- |" * len(COLUMNS),
        rows="\n".join(rows),
    )
    path.with_suffix(".md").write_text(document, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
