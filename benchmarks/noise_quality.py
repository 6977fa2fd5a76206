"""Is the noise good? Its bits, its transform and its normals, measured.

    python benchmarks/noise_quality.py                   (about five minutes)
    python benchmarks/noise_quality.py Crush             (35 minutes an order)

Parts, in any number: `transform` (every one of the 2**32 inputs), `normals` (10**8
draws), `SmallCrush` and `Crush` (TestU01's batteries on the bits, in five orders).
The batteries need a C compiler and TestU01: on Debian, libtestu01-0-dev of the
non-free section; elsewhere tell the compiler by CFLAGS and LDFLAGS. Each part
replaces its own section of results/noise_quality.json and then the picture is drawn
anew.
"""

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
import numpy as np
from keras import ops
from scipy import special, stats

from keras_asgld import noise
from keras_asgld.backend import compiled
from keras_asgld.reports import drawing

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "noise_quality.json"

# name: (seeds, variables, updates at a time, elements, what runs fastest first).
# r: a row of seed and variable, u: an update, e: an element.
ORDERS = {
    "along elements": (1, 1, 1, 2**24, "eur"),
    "along updates": (1, 1, 2**16, 2**8, "uer"),
    "along variables": (1, 2**16, 1, 2**6, "reu"),
    "along seeds": (2**16, 1, 1, 2**6, "reu"),
    "interleaved": (8, 8, 2**6, 2**12, "rue"),
}


def transform():
    """Every magnitude, largest first, in both signs."""
    chunk = 2**22
    normal = compiled(noise.normal_from_bits)
    edges = np.linspace(0, 6.4, 321)
    lowest, highest = np.full(320, np.inf), np.full(320, -np.inf)
    previous, odd, finite, step_back, values = np.inf, True, True, 0.0, 0
    for start in range(0, 2**31, chunk):
        k = np.arange(start, start + chunk, dtype="int64")
        z = np.asarray(normal(ops.convert_to_tensor(k.astype("int32"))))
        mirrored = np.asarray(
            normal(ops.convert_to_tensor((k - 2**31).astype("int32")))
        )
        odd &= np.array_equal(mirrored, -z)
        finite &= bool(np.isfinite(z).all())
        steps = np.diff(z, prepend=np.float32(previous))
        step_back = max(step_back, float(steps.max()))
        values += int((steps != 0).sum())
        previous = z[-1]
        # Where z stays the same while the exact value falls, the error is largest
        # at an end of the run.
        ends = np.flatnonzero(np.diff(z, prepend=np.nan, append=np.nan) != 0)
        ends = np.unique(np.concatenate([ends[:-1], ends[1:] - 1]))
        error = z[ends] + special.ndtri((k[ends] + 0.5) / 2.0**32)
        where = np.digitize(z[ends], edges) - 1
        np.minimum.at(lowest, where, error)
        np.maximum.at(highest, where, error)
        if start == 0:
            largest = float(z[0])
    seen = np.isfinite(lowest)
    return {
        "inputs": 2**32,
        "finite": finite,
        "odd": odd,
        "largest_step_back": step_back,
        "distinct_magnitudes": values,
        "largest_z": largest,
        "smallest_z": float(previous),
        "largest_error": float(max(-lowest[seen].min(), highest[seen].max())),
        "curve": {
            "z": ((edges[1:] + edges[:-1]) / 2)[seen].round(4).tolist(),
            "lowest": [float(f"{x:.3g}") for x in lowest[seen]],
            "highest": [float(f"{x:.3g}") for x in highest[seen]],
        },
    }


def normals():
    """5 seeds x 4 variables x 5 updates x 2**20 elements."""
    seeds, variables, updates, elements = 5, 4, 5, 2**20
    normal = compiled(_normal, elements)
    z = np.empty((seeds, variables, updates, elements), "float32")
    for seed in range(seeds):
        words = noise.noise_words(seed, variables)
        for variable, update in np.ndindex(variables, updates):
            z[seed, variable, update] = np.asarray(
                normal(
                    ops.convert_to_tensor(words[variable]),
                    ops.convert_to_tensor(update, "int32"),
                )
            )
    figures = {"draws": z.size, "moments": {}, "tails": {}, "correlations": {}}
    powers = np.zeros(7)
    for block in z.reshape(-1, elements):
        power = np.ones(elements)
        for k in range(1, 7):
            power *= block
            powers[k] += power.sum()
    for k in range(1, 7):
        expected, second = _normal_moment(k), _normal_moment(2 * k)
        error = math.sqrt((second - expected**2) / z.size)
        figures["moments"][k] = _figure(powers[k] / z.size, expected, error)
    for tail in (3, 4, 5):
        for side, share in (
            (f"> {tail}", np.count_nonzero(z > tail) / z.size),
            (f"< -{tail}", np.count_nonzero(z < -tail) / z.size),
        ):
            expected = special.ndtr(-tail)
            error = math.sqrt(expected / z.size)
            figures["tails"][side] = _figure(share, expected, error)
    for axis, name in enumerate(("seeds", "variables", "updates", "elements")):
        for lag in (1, 2, 3):
            length = z.shape[axis]
            a = z.take(range(lag, length), axis).ravel()
            b = z.take(range(length - lag), axis).ravel()
            products = squares = 0.0
            for start in range(0, a.size, elements):
                x = a[start : start + elements].astype("float64")
                y = b[start : start + elements].astype("float64")
                products += x @ y
                squares += (x * x - 1) @ (y * y - 1) / 2
            error = 1 / math.sqrt(a.size)
            key = f"{name}, lag {lag}"
            figures["correlations"][key] = _figure(products / a.size, 0.0, error)
            figures["correlations"][key + ", squares"] = _figure(
                squares / a.size, 0.0, error
            )
    z = np.sort(z.ravel())
    figures["kolmogorov_smirnov"] = _kolmogorov_smirnov(z)
    figures["anderson_darling"] = _anderson_darling(z)
    # The empirical tail against the exact one, for the picture.
    count = np.unique(np.geomspace(1, z.size / 2, 200).astype(int))
    figures["tail_curve"] = {
        "expected_z": (-special.ndtri(count / z.size)).round(5).tolist(),
        "upper": z[-count].astype("float64").round(5).tolist(),
        "lower": z[count - 1].astype("float64").round(5).tolist(),
    }
    return figures


def _normal(elements, words, update):
    return noise.normal(noise.noise_key(words, update), (elements,))


def _normal_moment(k):
    return float(math.prod(range(k - 1, 0, -2))) if k % 2 == 0 else 0.0


def _figure(value, expected, error):
    return {
        "value": float(value),
        "expected": float(expected),
        "standard_errors": round(float((value - expected) / error), 2),
    }


def _kolmogorov_smirnov(z):
    distance = 0.0
    for start in range(0, z.size, 2**22):
        below = special.ndtr(z[start : start + 2**22].astype("float64"))
        rank = np.arange(start, start + below.size)
        distance = max(
            distance,
            (below - rank / z.size).max(),
            ((rank + 1) / z.size - below).max(),
        )
    return {
        "D": float(distance),
        "p": float(stats.kstwobign.sf(distance * z.size**0.5)),
    }


def _anderson_darling(z):
    total = 0.0
    for start in range(0, z.size, 2**22):
        low = z[start : start + 2**22].astype("float64")
        high = z[z.size - start - low.size : z.size - start][::-1].astype("float64")
        weight = 2 * np.arange(start, start + low.size) + 1.0
        total += (weight * (special.log_ndtr(low) + special.log_ndtr(-high))).sum()
    a = -z.size - total / z.size
    # Marsaglia & Marsaglia 2004, "Evaluating the Anderson-Darling distribution".
    if a < 2:
        terms = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
        below = math.exp(-1.2337141 / a) / math.sqrt(a) * np.polyval(terms[::-1], a)
    else:
        terms = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
        below = math.exp(-math.exp(np.polyval(terms[::-1], a)))
    return {"A2": float(a), "p": float(1 - below)}


def battery(name, order):
    """One battery of TestU01 on the bits in one order."""
    seeds, variables, updates, elements, fastest = ORDERS[order]
    words = np.concatenate(
        [noise.noise_words(seed, variables) for seed in range(seeds)]
    )
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "battery")
        _compile(program)
        arguments = [program, "dump", fastest, str(updates), str(elements)]
        _compare(arguments, words)
        arguments[1] = name
        done = subprocess.run(
            arguments, input=words.tobytes(), capture_output=True, check=True
        )
    report = done.stdout.decode()
    summary = report[report.index("Summary results") :]
    return {
        "statistics": int(re.search(r"Number of statistics:\s+(\d+)", summary)[1]),
        "cpu_time": re.search(r"Total CPU time:\s+(\S+)", summary)[1],
        "suspicious": [
            " ".join(line.split()) for line in re.findall(r"^ *\d+  .*$", summary, re.M)
        ],
        "passed": "All tests were passed" in summary,
    }


def _compile(program):
    flags = os.environ.get("CFLAGS", "-I/usr/include/testu01")
    libraries = "-ltestu01 -ltestu01probdist -ltestu01mylib -lm"
    command = [
        os.environ.get("CC", "cc"),
        "-O2",
        *shlex.split(flags),
        str(HERE / "noise_battery.c"),
        "-o",
        program,
        *shlex.split(os.environ.get("LDFLAGS", "")),
        *libraries.split(),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"").decode().partition("\n")[0] or error
        sys.exit(f"noise_quality: TestU01 could not be built ({reason})")


def _compare(arguments, words):
    """The C copy of the hash gives the package's bits, in the package's order."""
    fastest, updates, elements = arguments[2], int(arguments[3]), int(arguments[4])
    count = 2**24 + 2**20
    number = np.arange(count)
    at = {}
    for letter in fastest:
        length = {"r": len(words), "u": updates, "e": elements}[letter]
        number, at[letter] = np.divmod(number, length)
    update = ops.convert_to_tensor(at["u"] + number * updates, "int32")
    key = noise.noise_key(ops.convert_to_tensor(words[at["r"]].T), update)
    element = ops.convert_to_tensor(at["e"], "int32")
    expected = np.asarray(noise.bits_at(key, (elements,), [element]))
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(words.tobytes())
        process.stdin.close()
        got = np.frombuffer(process.stdout.read(4 * count), "<i4")
        process.kill()
    if not np.array_equal(got, expected):
        sys.exit("noise_quality: noise_battery.c gives other bits than the package")


def _print(part, figures):
    print(f"\n{part}")
    if part == "transform":
        for key, value in figures.items():
            if key != "curve":
                print(f"  {key.replace('_', ' '):24}{value:>16,}")
    elif part == "normals":
        print(f"  {'':40}{'measured':>14}{'expected':>14}{'standard errors':>17}")
        for group in ("moments", "tails", "correlations"):
            for key, row in figures[group].items():
                print(
                    f"  {group[:-1] + ' ' + str(key):40}{row['value']:>14.4e}"
                    f"{row['expected']:>14.4e}{row['standard_errors']:>17.2f}"
                )
        for key in ("kolmogorov_smirnov", "anderson_darling"):
            (name, value), (_, p) = figures[key].items()
            print(
                f"  {key.replace('_', '-'):28}{name + ' =':>8}{value:.3g}, p = {p:.3f}"
            )
    else:
        for order, row in figures.items():
            found = "passed" if row["passed"] else "; ".join(row["suspicious"])
            print(
                f"  {order:18}{row['statistics']:>4} statistics  "
                f"{row['cpu_time']:>12} CPU  {found}"
            )


def _draw(results, path):
    figure = drawing.canvas(11, 4.3)
    left, right = figure.subplots(1, 2)
    blue, red = drawing.COLOURS[2], drawing.COLOURS[0]
    if "transform" in results:
        curve = results["transform"]["curve"]
        left.fill_between(
            curve["z"],
            np.multiply(curve["lowest"], 1e6),
            np.multiply(curve["highest"], 1e6),
            linewidth=1,
            color=blue,
            label="of all inputs, from smallest to largest",
        )
        left.set_ylim(-9, 9)
        left.set_title("error of a draw, in millionths", **drawing.TITLE)
        left.set_xlabel("the draw, z", color=drawing.GREY)
        left.legend(frameon=False, loc="upper right")
    if "normals" in results:
        curve = results["normals"]["tail_curve"]
        exact = np.array(curve["expected_z"])
        share = special.ndtr(-exact)
        spread = 2 * np.sqrt(share / results["normals"]["draws"])
        low = -special.ndtri(np.minimum(share + spread, 0.5))
        high = -special.ndtri(np.maximum(share - spread, 1e-12))
        right.fill_between(
            exact,
            low - exact,
            high - exact,
            color="#E3E5E8",
            label="two standard errors",
        )
        for tail, sign, colour in (("upper", 1, blue), ("lower", -1, red)):
            away = sign * np.array(curve[tail]) - exact
            right.plot(exact, away, color=colour, label=f"{tail} tail")
        draws = results["normals"]["draws"]
        right.set_title(f"tails of {draws / 1e6:.0f} million draws", **drawing.TITLE)
        right.set_xlabel(
            "exact quantile, up to that of one draw in 10⁸", color=drawing.GREY
        )
        right.set_ylabel("drawn quantile less the exact one", color=drawing.GREY)
        right.set(ylim=(-0.25, 0.25), xlim=(0, None))
        right.legend(frameon=False, loc="upper left")
    for axes in (left, right):
        axes.axhline(0, color=drawing.GREY, linewidth=0.8)
        drawing.quiet(axes)
    drawing.caption(figure, "The package's normal draws against the exact distribution")
    drawing.save(figure, path)


def _read():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _store(part, figures):
    # Read again: a battery runs for hours, and other parts may be run meanwhile.
    results = _read() | {part: figures}
    RESULTS.parent.mkdir(exist_ok=True)
    temporary = RESULTS.with_name(RESULTS.name + ".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, RESULTS)


def main(parts):
    known = {"transform": transform, "normals": normals}
    batteries = ("SmallCrush", "Crush")
    for part in parts:
        if part not in known and part not in batteries:
            sys.exit(f"noise_quality: no part {part!r}; one of {[*known, *batteries]}")
    for part in parts:
        figures = {}
        if part in known:
            figures = known[part]()
            _store(part, figures)
        else:
            for order in ORDERS:
                figures[order] = battery(part, order)
                _store(part, figures)
        _print(part, figures)
    _draw(_read(), RESULTS.with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1:] or ["transform", "normals", "SmallCrush"])
