"""ASGLD against Algorithm 1 in float64 and against its closed forms."""

import keras
import numpy as np
import pytest

from keras_asgld import ASGLD
from tests.support import reference
from tests.support.family import as_numpy, run
from tests.support.graphs import one_graph


def test_sixty_steps_follow_algorithm_1_in_float64(start, gradients):
    numbers = {"learning_rate": 0.05, "momentum": 0.8, "noise": 1.5}
    optimizer = ASGLD(**numbers, seed=3)
    variable, values = run(optimizer, start, gradients)
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    expected = np.stack([theta for theta, _, _ in states])
    np.testing.assert_allclose(values, expected, rtol=0, atol=2e-5)
    mu, C = (as_numpy(slot) for slot in optimizer.slots(variable))
    np.testing.assert_allclose(mu, states[-1][1], atol=1e-6)
    np.testing.assert_allclose(C, states[-1][2], rtol=1e-5)


def test_float64_variables_are_updated_in_float64(start, gradients):
    numbers = {"learning_rate": 0.05, "momentum": 0.8, "noise": 1.5}
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless the whole process enables it")
    optimizer = ASGLD(**numbers, seed=3)
    variable, values = run(optimizer, start, gradients, "float64")
    states = reference.trajectory(optimizer, start, gradients, **numbers)
    # The learning rate and noise are Keras variables of float32: 6e-8 relative.
    expected = np.stack([theta for theta, _, _ in states])
    np.testing.assert_allclose(values, expected, rtol=0, atol=2e-6)
    assert {str(slot.dtype) for slot in optimizer.slots(variable)} == {"float64"}
    # Of the numbers, mu and C depend on the momentum alone, which is none.
    for slot, exact in zip(optimizer.slots(variable), states[-1][1:], strict=True):
        np.testing.assert_allclose(as_numpy(slot), exact, rtol=1e-12)


def test_constant_gradient_gives_the_closed_forms_of_mu_and_C():
    g, rho, steps = 2.0, 0.9, 12
    optimizer = ASGLD(0.1, momentum=rho, seed=0)
    variable, _ = run(optimizer, np.zeros((5,)), np.full((steps, 5), g))
    mu, C = (as_numpy(slot) for slot in optimizer.slots(variable))
    np.testing.assert_allclose(mu, (1 - rho**steps) * g, rtol=1e-6)
    np.testing.assert_allclose(C, rho**steps * (1 - rho**steps) * g**2, rtol=1e-5)


def test_C_estimates_the_variance_of_the_gradient():
    rho, s, n, steps = 0.9, 0.5, 100_000, 80
    rng = np.random.default_rng(0)
    optimizer = ASGLD(0.1, momentum=rho, noise=0.0, seed=0)
    gradients = (3.0 + s * rng.normal(size=(steps, n))).astype("float32")
    variable, _ = run(optimizer, np.zeros(n), gradients)
    C = as_numpy(optimizer.slots(variable)[1]).astype("float64")
    # The start-up transient, (rho^t)(1 - rho^t) (3^2 + ...), is below 3e-3 here.
    transient = rho**steps * (1 - rho**steps) * 9.0
    expected = 2 * rho / (1 + rho) * s**2 + transient
    assert abs(C.mean() - expected) < 5 * C.std() / np.sqrt(n)


def test_noise_of_a_step_uses_the_updated_mean_and_variance():
    n, rho, psi, lr = 200_000, 0.5, 2.0, 0.1
    optimizer = ASGLD(lr, momentum=rho, noise=psi, seed=1)
    variable, _ = run(optimizer, np.zeros(n), np.full((1, n), 1.0))
    # After one step from zero: mu = 1/2, C = 1/4. Stale moments would give 0, 0.
    xi = (-as_numpy(variable).astype("float64") / lr - 1.0) / psi
    assert abs(xi.mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    assert abs(xi.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / n)


def test_without_noise_it_is_keras_sgd_to_the_bit(start, gradients):
    _, ours = run(ASGLD(0.0625, noise=0.0), start, gradients)
    _, keras_sgd = run(keras.optimizers.SGD(0.0625), start, gradients)
    # A learning rate that is a power of two leaves no room for a rounding that
    # a fused multiply-add would skip.
    np.testing.assert_array_equal(ours, keras_sgd)


def test_without_randomness_it_is_quasi_hyperbolic_momentum(start, gradients):
    lr, rho, psi = 0.05, 0.9, 3.0
    optimizer = ASGLD(lr, momentum=rho, noise=psi)
    optimizer.exclude_from_noise(var_names=["weight"])
    _, values = run(optimizer, start, gradients)
    theta, buffer = start.astype("float64"), 0.0
    nu = psi / (1 + psi)
    for g, value in zip(gradients.astype("float64"), values, strict=True):
        buffer = rho * buffer + (1 - rho) * g
        theta = theta - lr * (1 + psi) * ((1 - nu) * g + nu * buffer)
        np.testing.assert_allclose(value, theta, atol=2e-5)


def test_momentum_zero_leaves_no_variance(start, gradients):
    optimizer = ASGLD(0.05, momentum=0.0, noise=2.0)
    _, values = run(optimizer, start, gradients)
    expected = start - 0.05 * 3.0 * np.cumsum(gradients.astype("float64"), axis=0)
    np.testing.assert_allclose(values, expected, atol=5e-5)


@pytest.mark.parametrize(
    "lr, rho, psi, a, s",
    [
        (0.1, 0.9, 1.0, 1.0, 1.0),
        pytest.param(0.3, 0.5, 3.0, 0.5, 2.0, marks=pytest.mark.slow),
        pytest.param(0.02, 0.8, 9.0, 1.0, 0.3, marks=pytest.mark.slow),
    ],
)
def test_stationary_variance_on_a_quadratic_solves_its_lyapunov_equation(
    lr, rho, psi, a, s
):
    """Gradient a theta + s e: (theta, mu) is linear; C's mean follows from it."""
    n, burn_in, samples, thinning = 40_000, 300, 15, 20
    rng = np.random.default_rng(0)
    optimizer = ASGLD(lr, momentum=rho, noise=psi, seed=5)
    theta = keras.Variable(np.zeros(n, "float32"))
    optimizer.build([theta])
    move = one_graph(
        lambda e: optimizer.apply([a * theta + e], [theta]),
        [theta, *optimizer.variables],
    )
    variances = []
    for step in range(burn_in + samples * thinning):
        e = rng.standard_normal(n, dtype="float32")
        move(keras.ops.convert_to_tensor(s * e))
        if step >= burn_in and step % thinning == 0:
            variances.append(as_numpy(theta).astype("float64").var())
    expected = asgld_stationary_variance(lr, rho, psi, a, s)
    assert abs(np.mean(variances) / expected - 1) < 0.01


def asgld_stationary_variance(lr, rho, psi, a, s):
    """Solves the linear system of (E theta^2, E theta mu, E mu^2, E C).

    With q = 1 - rho and h = psi q:
        delta  = a theta + s e - mu,   mu'    = mu + q delta
        theta' = theta - lr ((1 + h) (a theta + s e) + psi rho mu + psi sqrt(C') z)
        C'     = rho C + rho q delta^2
    """
    q, h = 1 - rho, psi * (1 - rho)
    A = np.array([[1 - lr * (1 + h) * a, -lr * psi * rho], [q * a, rho]])
    b = np.array([-lr * (1 + h) * s, q * s])
    d = np.array([a, -1.0])
    # Unknowns S11, S12, S22, c.
    system, constant = np.zeros((4, 4)), np.zeros(4)
    pairs = [(0, 0), (0, 1), (1, 1)]
    for row, (i, j) in enumerate(pairs):
        for column, (k, m) in enumerate(pairs):
            system[row, column] = A[i, k] * A[j, m]
            if k != m:
                system[row, column] += A[i, m] * A[j, k]
        constant[row] = b[i] * b[j]
    delta2 = np.array([d[0] ** 2, 2 * d[0] * d[1], d[1] ** 2])
    # In the stationary state E C = q E delta^2 rho / (1 - rho) = rho E delta^2.
    system[3, :3] = rho * delta2
    constant[3] = rho * s**2
    system[0, 3] += lr**2 * psi**2
    solution = np.linalg.solve(np.eye(4) - system, constant)
    return solution[0]


# The noise scale behaves as the learning rate does.


def test_noise_schedule_and_callable(start, gradients):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([19], [1.5, 0.5])
    numbers = {"learning_rate": 0.05, "momentum": 0.8}
    for noise, scale in [
        (schedule, lambda update: 1.5 if update <= 19 else 0.5),
        (lambda: 2.5, 2.5),
    ]:
        optimizer = ASGLD(**numbers, noise=noise, seed=3)
        _, values = run(optimizer, start, gradients)
        states = reference.trajectory(
            optimizer, start, gradients, **numbers, noise=scale
        )
        np.testing.assert_allclose(values[-1], states[-1][0], atol=2e-5)


def test_noise_can_be_reassigned_and_is_saved(start, gradients):
    numbers = {"learning_rate": 0.05, "momentum": 0.8}
    optimizer = ASGLD(**numbers, noise=1.0, seed=3)
    variable, _ = run(optimizer, start, gradients[:30])
    optimizer.noise = 2.0
    for gradient in gradients[30:]:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    scale = lambda update: 1.0 if update < 30 else 2.0  # noqa: E731
    states = reference.trajectory(optimizer, start, gradients, **numbers, noise=scale)
    np.testing.assert_allclose(as_numpy(variable), states[-1][0], atol=2e-5)
    assert optimizer.get_config()["noise"] == 2.0
    assert any(v is optimizer.noise for v in optimizer.variables)


def test_noise_schedule_survives_the_configuration():
    schedule = keras.optimizers.schedules.ExponentialDecay(2.0, 10, 0.9)
    optimizer = ASGLD(noise=schedule)
    copy = ASGLD.from_config(optimizer.get_config())
    assert copy.get_config()["noise"] == optimizer.get_config()["noise"]
    assert float(copy.noise) == 2.0


@pytest.mark.parametrize(
    "argument, value",
    [
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("momentum", float("nan")),
        ("momentum", lambda: 0.9),
        ("noise", -1.0),
        ("noise", float("inf")),
        ("noise", float("nan")),
        ("noise", None),
        ("noise", "loud"),
    ],
)
def test_wrong_numbers_are_named(argument, value):
    with pytest.raises(
        ValueError, match=f"`{argument}` must be .*Received: {argument}"
    ):
        ASGLD(**{argument: value})
    optimizer = ASGLD()
    if argument == "noise":
        with pytest.raises(ValueError, match="`noise` must be"):
            optimizer.noise = value


def test_defaults_are_those_that_the_study_chose():
    config = ASGLD().get_config()
    assert round(config["learning_rate"], 6) == 0.1
    assert (config["momentum"], config["noise"]) == (0.9, 1.0)


def test_without_its_random_part_it_can_be_nesterovs_sgd(start, gradients):
    rate, momentum = 0.05, 0.8
    ours = ASGLD(rate, momentum=momentum, noise=momentum / (1 - momentum), seed=3)
    ours.exclude_from_noise(var_names=[""])
    _, found = run(ours, start, gradients)
    theirs = keras.optimizers.SGD(rate, momentum=momentum, nesterov=True)
    _, expected = run(theirs, start, gradients)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    # Other numbers are not.
    other = ASGLD(rate, momentum=momentum, noise=3.9, seed=3)
    other.exclude_from_noise(var_names=[""])
    assert abs(run(other, start, gradients)[1] - expected).max() > 1e-3
