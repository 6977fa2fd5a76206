"""The cost of one update beside Keras's Adam, on the tensors of real networks.

    python benchmarks/update_step.py                 # TensorFlow: xla, graph, eager
    KERAS_BACKEND=jax python benchmarks/update_step.py
    KERAS_BACKEND=torch python benchmarks/update_step.py

All optimizers run in one process, in turn, on the same shapes. Printed is the median
over rounds of each round's ratio to Adam, which holds when the machine's speed drifts,
Adam's own median time, and the ratio of the first call, which traces and compiles.
On Linux a process of its own measures the peak of memory of each optimizer's compiled
step: weights, gradients, slots and what the step takes beside them. The floor is what
the bare memory traffic takes: seven words a weight (read gradient, weight and two
slots; write the last three) at this machine's measured bandwidth. Results go to
benchmarks/results/update_step_BACKEND.json and, as a picture, .png; a call replaces the
networks and modes that it measures and keeps the others.
"""

import argparse
import ctypes
import gc
import itertools
import json
import math
import pathlib
import statistics
import subprocess
import sys

from stepping import (
    BACKEND,
    BACKENDS,
    MODES,
    OPTIMIZERS,
    kept,
    median_ratio,
    memory_bandwidth,
    paired_times,
    save,
    shapes_of,
    started,
    stepper,
)

from keras_asgld.reports import drawing

KERAS, NAIVE = ("Adam", "SGD", "AdamW"), "ASGLD, naive"
OTHERS = "#B0B4BA"  # the bars of what is not this package's
NETWORKS = ("resnet34", "densenet121", "cnn")


def measure(network, mode, rounds, *chosen):
    """For each optimizer its step and first call, beside Adam's."""
    shapes = shapes_of(network)
    # The backend's own start is no optimizer's cost.
    stepper(OPTIMIZERS["Adam"](), [(3,)], mode)()
    steps, first = started(chosen, shapes, mode)
    times = paired_times(steps, int(rounds))
    rows = {
        name: {
            "ratio": median_ratio(times[name], times["Adam"]),
            "milliseconds": 1e3 * statistics.median(times[name]),
            "first_call_ratio": first[name] / first["Adam"],
            "first_call_seconds": first[name],
        }
        for name in chosen
    }
    return {
        "tensors": len(shapes),
        "weights": sum(math.prod(shape) for shape in shapes),
        "optimizers": rows,
    }


def peak(network, mode, name):
    """Megabytes of weights, gradients and slots, and of what three steps add."""
    shapes = shapes_of(network)
    optimizer = OPTIMIZERS[name]()
    step = stepper(optimizer, shapes, mode)
    for _ in range(2):
        step()
    tensors = [*shapes, *shapes, *(tuple(v.shape) for v in optimizer.variables)]
    state = sum(4 * math.prod(shape) for shape in tensors)
    # What the compiler left behind is neither; and this is Linux's way to forget the
    # peak so far.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    for _ in range(3):
        step()
    return (state + _status("VmHWM") - before) / 1e6


def in_a_process(function, *arguments):
    """What the function returns in a process that has compiled nothing before."""
    command = [sys.executable, __file__, "--child", function.__name__, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _status(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"no {field} in /proc/self/status")


def median_rows(runs):
    """The runs' rows as one: the median of each figure, and the ratios of every run."""
    rows = {}
    for name in runs[0]:
        found = [run[name] for run in runs]
        rows[name] = {f: statistics.median(r[f] for r in found) for f in found[0]}
        rows[name]["runs"] = [
            {f: round(r[f], 3) for f in ("ratio", "first_call_ratio")} for r in found
        ]
    return rows


def merged(cases, new):
    """The cases with a new one, which keeps the rows of what it did not measure."""
    found = {(case["network"], case["mode"]): case for case in cases}
    old = found.pop((new["network"], new["mode"]), {"optimizers": {}})
    rows = old["optimizers"] | new["optimizers"]
    return [*found.values(), new | {"optimizers": rows}]


def report(case):
    print(
        f"\n{case['network']}, {case['tensors']} tensors, "
        f"{case['weights'] / 1e6:.1f} M weights, {BACKEND} {case['mode']}; "
        f"floor {case['floor_milliseconds']:.1f} ms"
    )
    for name, row in case["optimizers"].items():
        spread = [run["ratio"] for run in row["runs"]]
        memory = f"   peak {row['memory_ratio']:.2f} x" if "memory_ratio" in row else ""
        print(
            f"  {name:13} {row['ratio']:6.2f} x Adam ({min(spread):.2f} to "
            f"{max(spread):.2f}) {row['milliseconds']:8.1f} ms   first call "
            f"{row['first_call_ratio']:5.2f} x{memory}"
        )


def draw(results, path):
    cases = {(case["network"], case["mode"]): case for case in results["cases"]}
    networks, modes = (list(dict.fromkeys(each)) for each in zip(*cases, strict=True))
    names = {
        network: [
            name
            for name in reversed(OPTIMIZERS)
            if any(
                name in c["optimizers"] for (n, _), c in cases.items() if n == network
            )
        ]
        for network in networks
    }
    bars = [len(each) for each in names.values()]
    height = 0.8 + sum(0.6 + 0.25 * count for count in bars)
    figure = drawing.canvas(max(7.5, 1.2 + 3.2 * len(modes)), height)
    panels = figure.subplots(
        len(networks),
        len(modes),
        squeeze=False,
        sharey="row",
        gridspec_kw={"height_ratios": bars},
    )
    for (row, network), (column, mode) in itertools.product(
        enumerate(networks), enumerate(modes)
    ):
        axes = panels[row][column]
        axes.set_title(f"{network}, {mode}", **drawing.TITLE)
        axes.set_yticks(range(len(names[network])), names[network])
        drawing.quiet(axes, grid="x")
        if (network, mode) in cases:
            _draw_bars(axes, cases[network, mode], names[network])
        else:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
    for axes in panels[-1]:
        axes.set_xlabel("times Keras's Adam", color=drawing.GREY)
    drawing.caption(
        figure,
        f"Time of an update on {BACKENDS[results['backend']]}; orange: this package, "
        "black: range of runs, dotted: memory's part",
    )
    drawing.save(figure, path)


def _draw_bars(axes, case, names):
    rows = case["optimizers"]
    # The naive form's bar would leave no room for the others.
    end = 1.5 * max(row["ratio"] for name, row in rows.items() if name != NAIVE)
    right = 0.0
    for place, name in enumerate(names):
        if name not in rows:
            continue
        ratio = rows[name]["ratio"]
        runs = [run["ratio"] for run in rows[name]["runs"]]
        colour = OTHERS if name in KERAS or name == NAIVE else drawing.COLOURS[0]
        axes.barh(place, min(ratio, end), color=colour, height=0.7)
        if ratio <= end:
            spread = [min(runs), min(max(runs), end)]
            axes.plot(spread, [place, place], color="black", lw=1)
        tip = min(max(ratio, *runs), end)
        right = max(right, tip)
        axes.annotate(
            f"{ratio:.2f}{', cut' if ratio > end else ''}",
            (tip, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    floor = case["floor_milliseconds"] / rows["Adam"]["milliseconds"]
    axes.axvline(floor, color=drawing.GREY, linestyle=":")
    axes.axvline(1, color=drawing.GREY, linewidth=0.8)
    axes.set_xlim(0, 1.35 * right)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.xaxis.set_major_formatter("{x:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--modes", nargs="+", default=MODES[BACKEND])
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=3, help="each in its own process")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        function, *arguments = options.child
        print(json.dumps({"measure": measure, "peak": peak}[function](*arguments)))
        return
    chosen = ["Adam"] + [name for name in options.optimizers if name != "Adam"]
    bandwidth = memory_bandwidth()
    results = kept("update_step")
    for network in options.networks:
        for mode in options.modes:
            runs = [
                in_a_process(measure, network, mode, str(options.rounds), *chosen)
                for _ in range(options.runs)
            ]
            rows = median_rows([run["optimizers"] for run in runs])
            if sys.platform == "linux" and mode != "eager":
                peaks = {
                    name: in_a_process(peak, network, mode, name) for name in chosen
                }
                for name, row in rows.items():
                    row["peak_megabytes"] = round(peaks[name], 1)
                    row["memory_ratio"] = round(peaks[name] / peaks["Adam"], 3)
            weights = runs[0]["weights"]
            case = {
                "network": network,
                "mode": mode,
                "tensors": runs[0]["tensors"],
                "weights": weights,
                "rounds": options.rounds,
                "memory_bandwidth": bandwidth,
                "floor_milliseconds": 1e3 * 7 * 4 * weights / bandwidth,
                "optimizers": rows,
            }
            report(case)
            results["cases"] = merged(results.get("cases", []), case)
            save(results, "update_step", draw)


if __name__ == "__main__":
    main()
