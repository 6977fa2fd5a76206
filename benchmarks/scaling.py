"""How the cost of an update grows: with the weights, and with the tensors they are in.

    python benchmarks/scaling.py
    KERAS_BACKEND=jax python benchmarks/scaling.py

First one square tensor of 10**3 to 10**8 weights, then 2**22 weights in 1 to 256 equal
tensors; ASGLD beside Keras's Adam, in turn in one process. Results go to
benchmarks/results/scaling_BACKEND.json and, as a picture, .png; a call replaces the
modes that it measures and keeps the others.
"""

import argparse
import math
import statistics

from stepping import (
    BACKEND,
    BACKENDS,
    MODES,
    kept,
    median_ratio,
    paired_times,
    save,
    started,
)

from keras_asgld.reports import drawing
from keras_asgld.reports.drawing import GREY

WEIGHTS = [10**k for k in range(3, 9)]
TENSORS = [4**k for k in range(5)]
TOGETHER = 2**22
NAMES = ("Adam", "ASGLD")


def square(weights):
    side = math.isqrt(weights)
    return (side, weights // side)


def measure(shapes, mode, rounds):
    steps, first = started(NAMES, shapes, mode)
    times = paired_times(steps, rounds)
    return {
        "tensors": len(shapes),
        "weights": sum(math.prod(shape) for shape in shapes),
        "ratio": median_ratio(times["ASGLD"], times["Adam"]),
        "milliseconds": {n: 1e3 * statistics.median(times[n]) for n in NAMES},
        "first_call_seconds": first,
    }


def draw(results, path):
    from matplotlib.ticker import EngFormatter

    figure = drawing.canvas(10, 4.2)
    left, right = figure.subplots(1, 2)
    styles = drawing.styles([name.lower() for name in NAMES])
    for dash, (mode, found) in zip(
        drawing.DASHES, results["modes"].items(), strict=False
    ):
        for name in NAMES:
            colour, _ = styles[name.lower()]
            look = {"color": colour, "linestyle": dash, "marker": "."}
            label = f"{name}, {mode}"
            x = [row["weights"] for row in found["weights"]]
            y = [1e6 * r["milliseconds"][name] / r["weights"] for r in found["weights"]]
            left.loglog(x, y, label=label, **look)
            x = [row["tensors"] for row in found["tensors"]]
            y = [row["milliseconds"][name] for row in found["tensors"]]
            right.semilogx(x, y, **look)
    left.set_title("one tensor: nanoseconds a weight", **drawing.TITLE)
    left.set_xlabel("weights in the tensor (k: thousand, M: million)", color=GREY)
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    left.yaxis.set_major_formatter("{x:g}")
    left.legend(frameon=False)
    right.set_title("many tensors: milliseconds an update", **drawing.TITLE)
    right.set_xlabel(f"tensors that share {TOGETHER / 1e6:.1f} M weights", color=GREY)
    right.set_xticks(TENSORS, TENSORS)
    right.set_ylim(0, None)
    for axes in (left, right):
        axes.minorticks_off()
        drawing.quiet(axes)
    cores = results["machine"]["cores"]
    drawing.caption(
        figure, f"An update on {BACKENDS[results['backend']]}, {cores} cores"
    )
    drawing.save(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", nargs="+", default=MODES[BACKEND])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    results = {"modes": {}} | kept("scaling")
    for mode in options.modes:
        cases = {
            "weights": [[square(weights)] for weights in WEIGHTS],
            "tensors": [[square(TOGETHER // n)] * n for n in TENSORS],
        }
        results["modes"][mode] = found = {key: [] for key in cases}
        for key, rows in cases.items():
            for shapes in rows:
                row = measure(shapes, mode, options.rounds)
                found[key].append(row)
                print(
                    f"{mode:6} {row['weights']:>11,} weights in {row['tensors']:>5} "
                    f"tensors: {row['milliseconds']['ASGLD']:9.3f} ms, "
                    f"{row['ratio']:5.2f} x Adam"
                )
    save(results, "scaling", draw)


if __name__ == "__main__":
    main()
