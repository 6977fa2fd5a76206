"""Laws of the samplers' discretised dynamics on a quadratic, in closed or solved form.

The gradient is a theta + s e, e standard normal; lr is the learning rate, m the
momentum and T the temperature. `tests/optimizers/test_laws.py` says which rules these
are the laws of, and holds the samplers to them.
"""

import numpy as np


def sghmc_covariance(lr, m, T, a, s):
    """Solves S = A S A' + b b' for the covariance of (theta, v)."""
    A = np.array([[1 - lr * a, m], [-lr * a, m]])
    noise = (2 * (1 - m) * lr * T + lr**2 * s**2) * np.ones((2, 2))
    S = np.linalg.solve(np.eye(4) - np.kron(A, A), noise.ravel())
    return S.reshape(2, 2)


def baoa_covariance(lr, m, T, a, s):
    """Solves S = A S A' + b b' + p p' for the covariance of (theta, slot)."""
    A = np.array([[1 - lr * a, 1], [-m * lr * a, m]])
    e = lr * s * np.array([1, m])
    p = np.sqrt(2 * (1 - m) * lr * T) * np.array([1 / 2, (1 + m) / 2])
    noise = np.outer(e, e) + np.outer(p, p)
    S = np.linalg.solve(np.eye(4) - np.kron(A, A), noise.ravel())
    return S.reshape(2, 2)


def sgnht_excess(lr, m, T, a, s):
    """The friction beyond 1 - m in the limit of a small coupling, where it is constant.

    The dynamics is then SGHMC's with friction 1 - d and the noise of 1 - m, whose
    variances, with q = 2 (1 - m) lr T + lr^2 s^2, are
        v:     2 q / ((1 - d) (2 (1 + d) - lr a))
        theta: v's times (1 + d) / (2 lr a)
    The thermostat holds v's at 2 lr T / (1 + d), which makes theta's T / a.
    """
    d = m
    for _ in range(200):
        d = 1 - (2 * (1 - m) * T + lr * s**2) / (T * (2 - lr * a / (1 + d)))
    return m - d


def psgld_variance_without_memory(lr, T, a, s, epsilon):
    """Exact for rho = 0: the Markov kernel of theta on a grid, to its fixed point.

    Given theta and e the gradient g, and so G, is fixed and theta' is Gaussian.
    """
    x = np.linspace(-9, 9, 361)
    e = np.linspace(-5, 5, 81) if s else np.zeros(1)
    weights = np.exp(-(e**2) / 2) / np.exp(-(e**2) / 2).sum()
    kernel = np.zeros((len(x), len(x)))
    for e_i, weight in zip(e, weights, strict=True):
        g = a * x + s * e_i
        G = 1 / (epsilon + abs(g))
        mean, variance = x - lr * G * g, 2 * lr * T * G
        density = np.exp(-((x[:, None] - mean) ** 2) / (2 * variance))
        kernel += weight * density / density.sum(axis=0)
    p = np.exp(-(x**2))
    for _ in range(600):
        p = kernel @ p
        p /= p.sum()
    return p @ x**2


def psgld_variance(lr, T, a, s, rho, velocity):
    """The variance of theta to first order in the fluctuation of the velocity.

    With k = 1 - rho, V = velocity + d, G = G0 + G1 d and G1 / G0 = -1 / (2 velocity)
    (epsilon aside), h = lr G0 a, m = E theta^2 and d of the same step:
        C = E[d (theta^2 - m)] = k a^2 2 m^2 / (1 - rho (1 - h)^2)
        E[d theta e] = 2 k a s m    and    E[d e^2] = 2 k s^2
    so that E theta'^2 = E theta^2 is an equation for m alone.
    """
    k, G0 = 1 - rho, 1 / np.sqrt(velocity)
    h, G1 = lr * G0 * a, -G0 / (2 * velocity)
    m = T / a
    for _ in range(50):
        C = k * a**2 * 2 * m**2 / (1 - rho * (1 - h) ** 2)
        d_theta_e = 2 * k * a * s * m
        noise = 2 * lr * T * G0 + (lr * s) ** 2 * (G0**2 + 4 * G0 * G1 * k * s**2)
        cross = -2 * lr * s * G1 * d_theta_e * (1 - 2 * h)
        # (2 h - h^2) m = noise + cross - (2 lr a G1 - 2 lr^2 a^2 G0 G1) C
        m = noise + cross - 2 * lr * a * G1 * (1 - h) * C
        m = m / (2 * h - h**2)
    return m
