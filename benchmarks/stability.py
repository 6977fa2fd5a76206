"""Up to which step ASGLD is stable on a quadratic, with its noise and without.

    python benchmarks/stability.py

takes seconds and writes docs/results/stability.json and .md. The loss is h θ² / 2 and
its gradient exact, so that C holds nothing but the gradient's own movement. A step of
Algorithm 1 then multiplies the size of (θ, µ, √C) by something that does not depend
on it, and the largest stable step is a number, here an effective step η (1 + ψ) in
units of 1 / h:

- without noise: θ and µ are multiplied by a matrix, whose spectral radius is 1 there;
- with noise, in the mean square: so are the second moments E θ², E θµ, E µ² and E C;
- with noise, almost surely: the growth rate of a typical run (its Lyapunov exponent) is
  zero. It is simulated.
"""

import json
import pathlib

import numpy as np

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
CASES = [(0.9, 0.3), (0.9, 1.0), (0.9, 3.0), (0.9, 9.0), (0.95, 1.0), (0.85, 17 / 3)]
RUNS, STEPS, BURN_IN = 400, 2000, 300


def matrix(rate, rho, psi):
    """What a step without noise does to θ and µ, at curvature 1."""
    return np.array(
        [[1 - rate * (1 + psi * (1 - rho)), -rate * psi * rho], [1 - rho, rho]]
    )


def moments(rate, rho, psi):
    """What a step does to E θ², E θµ, E µ² and E C."""
    step = matrix(rate, rho, psi)

    def after(state):
        own = np.array([[state[0], state[1]], [state[1], state[2]]])
        apart = np.array([1.0, -1.0])  # the gradient minus the mean
        C = rho * state[3] + rho * (1 - rho) * apart @ own @ apart
        own = step @ own @ step.T
        return own[0, 0] + (rate * psi) ** 2 * C, own[0, 1], own[1, 1], C

    return np.array([after(unit) for unit in np.eye(4)]).T


def radius(matrix):
    return abs(np.linalg.eigvals(matrix)).max()


def growth(rate, rho, psi):
    """By how much the logarithm of a typical run's size grows a step."""
    rng = np.random.default_rng(0)
    theta, mu, C = np.ones(RUNS), np.zeros(RUNS), np.zeros(RUNS)
    grown = 0.0
    for step in range(STEPS):
        C = rho * C + rho * (1 - rho) * (theta - mu) ** 2
        gradient = theta
        mu = rho * mu + (1 - rho) * gradient
        xi = mu + np.sqrt(C) * rng.standard_normal(RUNS)
        theta = theta - rate * (gradient + psi * xi)
        size = np.sqrt(theta**2 + mu**2 + C)
        theta, mu, C = theta / size, mu / size, C / size**2
        if step >= BURN_IN:
            grown += np.log(size).mean()
    return grown / (STEPS - BURN_IN)


def limit(is_stable):
    """The largest rate that is stable, to 0.1 %, by bisection of its logarithm."""
    low, high = 1e-3, 10.0
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if is_stable(middle) else (low, middle)
    return low


def measure(rho, psi):
    limits = {
        "without noise": limit(lambda rate: radius(matrix(rate, rho, psi)) < 1),
        "mean square": limit(lambda rate: radius(moments(rate, rho, psi)) < 1),
        "almost surely": limit(lambda rate: growth(rate, rho, psi) < 0),
    }
    return {"rho": rho, "psi": psi} | {n: r * (1 + psi) for n, r in limits.items()}


def table(cells):
    lines = ["| ρ | ψ | without noise | with noise, mean square | almost surely |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: |")
    for cell in cells:
        rho, psi, *limits = cell.values()
        words = [f"{rho:g}", f"{psi:.3g}", *(f"{limit:.2f}" for limit in limits)]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cells = [measure(*case) for case in CASES]
    (RESULTS / "stability.json").write_text(json.dumps(cells, indent=1) + "\n")
    (RESULTS / "stability.md").write_text(table(cells))
