"""Draw what every optimizer does on a landscape of two dimensions.

    python docs/pictures.py              # about a minute; needs the extra `plots`

Writes docs/pictures/landscape.gif, in which four methods look for the deeper of two
wells, and a picture of each optimizer by itself: a path, and where many runs end
(those that optimise), or the samples of sixteen chains
(those that sample). The optimizers are the package's and Keras's own; the
landscape was made so that it shows what noise does.
"""

import pathlib

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

import keras_asgld
from keras_asgld.reports.drawing import COLOURS, GREY, TITLE

FOLDER = pathlib.Path(__file__).parent / "pictures"
POOR, GOOD, START = (-1.0, 0.5), (1.0, -0.4), (-1.7, 1.3)
STEPS, RUNS, CHAINS = 400, 64, 16
TEMPERATURE = 0.3
RED, BLUE, GREEN = COLOURS[0], COLOURS[2], COLOURS[3]


def wells(points):
    """Height `[...]` and gradient `[..., 2]`: a poor well, a good one and a bowl."""
    height = 0.12 * np.sum(points**2, -1)
    gradient = 0.24 * points
    for centre, depth, width in ((POOR, 1.0, 0.4), (GOOD, 1.8, 0.5)):
        away = points - np.array(centre)
        well = depth * np.exp(-np.sum(away**2, -1) / width)
        height = height - well
        gradient = gradient + 2 / width * well[..., None] * away
    return height, gradient


def descend(optimizer, shifted=0.15, start=START, runs=RUNS, steps=STEPS):
    """The paths of many runs at once, `[steps + 1, runs, 2]`.

    Each step sees the landscape shifted a little, anew for each run (standard
    deviation `shifted`), as a minibatch sees a loss.
    """
    points = keras.Variable(np.tile(start, (runs, 1)), dtype="float32")
    optimizer.build([points])
    batches = np.random.RandomState(0)
    path = [keras.ops.convert_to_numpy(points)]
    for _ in range(steps):
        seen = path[-1] + batches.normal(scale=shifted, size=(runs, 2))
        gradient = keras.ops.convert_to_tensor(wells(seen)[1], "float32")
        optimizer.apply([gradient], [points])
        path.append(keras.ops.convert_to_numpy(points))
    return np.array(path)


def falling(rate):
    return keras.optimizers.schedules.CosineDecay(rate, STEPS)


# SGD, momentum SGD and ASGLD have the same effective step, 0.4.
OPTIMISE = {
    "SGD": lambda: keras.optimizers.SGD(falling(0.4)),
    "momentum SGD": lambda: keras.optimizers.SGD(falling(0.04), momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(falling(0.05)),
    "ASGLD": lambda: keras_asgld.ASGLD(falling(0.08), noise=4.0, seed=0),
    "ScaleFreeASGLD": lambda: keras_asgld.ScaleFreeASGLD(
        falling(0.05), noise=4.0, seed=0
    ),
}
FILM = ("SGD", "momentum SGD", "Adam", "ASGLD")
SAMPLE = {
    "SGLD": lambda **words: keras_asgld.SGLD(0.02, **words),
    "PSGLD": lambda **words: keras_asgld.PSGLD(0.02, rho=0.99, **words),
    "SGHMC": lambda **words: keras_asgld.SGHMC(0.005, momentum=0.9, **words),
    "BAOA": lambda **words: keras_asgld.BAOA(0.005, momentum=0.9, **words),
    "SGNHT": lambda **words: keras_asgld.SGNHT(0.005, momentum=0.9, **words),
}


def draw_landscape(axes, title):
    x, y = grid()
    axes.contourf(x, y, heights(), levels=24, cmap="Greys_r", alpha=0.75)
    axes.contour(x, y, heights(), levels=24, colors="white", linewidths=0.4)
    axes.plot(*POOR, "w^", *GOOD, "w*", markersize=9, markeredgecolor="black")
    axes.set_title(title, **TITLE)
    axes.set(xticks=[], yticks=[], xlim=(-2.3, 2.3), ylim=(-1.8, 1.8))


def grid():
    return np.meshgrid(np.linspace(-2.3, 2.3, 200), np.linspace(-1.8, 1.8, 160))


def heights():
    return wells(np.stack(grid(), -1))[0]


def reached(path):
    return np.mean(np.linalg.norm(path[-1] - GOOD, axis=-1) < 0.5)


def draw_film(paths):
    """All runs of each method as a swarm of points."""
    figure, panels = plt.subplots(1, 4, figsize=(10.4, 2.35), layout="constrained")
    swarms = []
    for axes, name in zip(panels, FILM, strict=True):
        draw_landscape(axes, f"{name}: {reached(paths[name]):.0%}")
        colour = RED if name == "ASGLD" else BLUE
        swarms.append(axes.plot([], [], ".", color=colour, markersize=5)[0])

    def show(frame):
        for swarm, name in zip(swarms, FILM, strict=True):
            swarm.set_data(*paths[name][frame].T)
        return swarms

    frames = [*range(0, STEPS + 1, 16), *[STEPS] * 8]
    film = FuncAnimation(figure, show, frames=frames)
    film.save(FOLDER / "landscape.gif", PillowWriter(fps=8), dpi=80)
    plt.close(figure)


def draw_descent(name, path):
    figure, axes = plt.subplots(figsize=(5, 3.9), layout="constrained")
    draw_landscape(axes, f"{name}: {reached(path):.0%} of {RUNS} runs reach ★")
    axes.plot(*path[:, :8].transpose(2, 0, 1), color=RED, lw=0.5, alpha=0.4)
    nearest = np.argmin(np.linalg.norm(path[-1] - GOOD, axis=-1))
    axes.plot(*path[:, nearest].T, color=RED, lw=1.5)
    axes.plot(*path[-1].T, ".", color="black", markersize=3)
    axes.set_xlabel("paths of eight runs, and where all end")
    save(figure, name)


def draw_samples(name, path):
    """The samples, and beside them how often each well is visited and should be."""
    density = np.exp(-heights() / TEMPERATURE)
    x, _ = grid()
    expected = density[x > 0].sum() / density.sum()
    kept = path[len(path) // 10 :]
    seen = (kept[..., 0] > 0).mean()
    figure, axes = plt.subplots(figsize=(5, 3.9), layout="constrained")
    title = f"{name}: {seen:.0%} of samples by ★, exact {expected:.0%}"
    draw_landscape(axes, title)
    axes.plot(*kept[:300, 0].T, color=GREY, lw=0.5, alpha=0.8)
    axes.plot(*kept[::40].reshape(-1, 2).T, ".", color=GREEN, markersize=2)
    axes.set_xlabel(
        f"samples of {CHAINS} chains, drawn from exp(−height / {TEMPERATURE})"
    )
    save(figure, name)


def save(figure, name):
    figure.savefig(FOLDER / f"{name}.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    paths = {name: descend(make()) for name, make in OPTIMISE.items()}
    draw_film(paths)
    for name in ("ASGLD", "ScaleFreeASGLD"):
        draw_descent(name, paths[name])
    for name, make in SAMPLE.items():
        sampler = make(temperature=TEMPERATURE, seed=0)
        draw_samples(name, descend(sampler, 0.0, (0.0, 0.0), CHAINS, 4000))
