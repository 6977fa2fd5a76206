"""The update equations of the papers: tensors in, tensors out.

Each rule takes the gradient, the variable, its slots and a standard normal draw
`z`, all of one floating-point dtype and shape, and scalars; it returns the new
variable and the new slots. Nothing is stored and nothing is drawn here.
"""

from keras import ops


def asgld(gradient, variable, mu, C, z, learning_rate, momentum, noise):
    """Algorithm 1 of arXiv 1906.04324, one iteration."""
    mu, C = moments(gradient, mu, C, momentum)
    xi = mu + ops.sqrt(C) * z
    variable = variable - learning_rate * (gradient + noise * xi)
    return variable, mu, C


def moments(gradient, mu, C, momentum):
    """The running mean and variance of the gradient, from those before it.

    The paper's (1 - rho) (g - mu_t) (g - mu_{t-1}) is written with
    g - mu_t = rho (g - mu_{t-1}). So C cannot go negative in any floating-point
    format, and every line needs only what the lines before it have made: a
    compiler then works in place and keeps no copy of the old mu.
    """
    mu = mu + (1 - momentum) * (gradient - mu)
    # Without momentum C is zero; to divide by it nevertheless would alarm who checks.
    divisor = ops.where(momentum > 0, momentum, 1.0)
    gain = ops.where(momentum > 0, (1 - momentum) / divisor, 0.0)
    return mu, momentum * C + gain * ops.square(gradient - mu)


def scale_free_asgld(
    gradient, variable, mu, C, z, learning_rate, momentum, noise, epsilon, t
):
    """ASGLD's step divided by the gradient's root mean square; `t` counts from 1.

    C + mu**2 is the running mean of the squared gradient, both being sums of squares:
    no subtraction could make it negative. Divided by what its weights sum to, it is
    unbiased from the first step on. The one term that a gradient of zero leaves in
    the divisor is epsilon.
    """
    mu, C = moments(gradient, mu, C, momentum)
    v = (C + ops.square(mu)) / (1 - ops.power(momentum, t))
    xi = mu + ops.sqrt(C) * z
    step = (gradient + noise * xi) / (ops.sqrt(v) + epsilon)
    return variable - learning_rate * step, mu, C


def with_prior(gradient, variable, precision, mean=0.0):
    """The gradient of the loss and of `precision / 2 * (variable - mean)**2`."""
    return gradient + precision * (variable - mean)


def sgld(gradient, variable, z, learning_rate, temperature):
    """Welling & Teh 2011, equation 4, for a loss in place of a log-posterior."""
    variable = variable - learning_rate * gradient
    return (variable + ops.sqrt(2 * learning_rate * temperature) * z,)


def psgld(gradient, variable, velocity, z, learning_rate, temperature, rho, epsilon, t):
    """Algorithm 1 of arXiv 1512.07666 without Γ, one iteration; `t` counts from 1.

    The velocity, which begins at zero, is divided by what its weights sum to, and the
    noise of the first steps is bounded; the paper does neither.
    """
    velocity = rho * velocity + (1 - rho) * ops.square(gradient)
    G, noise = psgld_scales(velocity, learning_rate, temperature, rho, epsilon, t)
    variable = variable - learning_rate * G * gradient
    return variable + noise * z, velocity


def psgld_scales(velocity, learning_rate, temperature, rho, epsilon, t):
    """The preconditioner of step `t`, and the standard deviation of its noise.

    Where the first gradients happen to be small, G is far too large. That is harmless
    to the drift, which cannot exceed learning_rate * sqrt((1 - rho**t) / (1 - rho)).
    The noise is kept below that length over rho**t, the share of the velocity that is
    still its beginning: a bound that soon means nothing.
    """
    # Not zero, by which a learning rate of zero could not be divided.
    left = ops.maximum(ops.power(rho, t), 1e-30)
    weights = 1 - ops.power(rho, t)
    G = 1 / (epsilon + ops.sqrt(velocity / weights))
    longest = learning_rate * ops.sqrt(weights / (1 - rho))
    noise = ops.sqrt(2 * learning_rate * temperature * G)
    return G, ops.minimum(noise, longest / left)


def sghmc(gradient, variable, momentum, z, learning_rate, decay, temperature):
    """Equation 15 of arXiv 1402.4102 without noise estimate; decay = 1 - alpha."""
    scale = ops.sqrt(2 * (1 - decay) * learning_rate * temperature)
    momentum = decay * momentum - learning_rate * gradient + scale * z
    return variable + momentum, momentum


def baoa(gradient, variable, momentum, z, learning_rate, decay, temperature):
    """Leimkuhler & Matthews' splitting B A O A, in the units of `sghmc`.

    Their half steps, with p the momentum in units of the weights, decay the factor
    that O leaves of it and h = 2 learning_rate / (1 + decay) the squared step:

        p = p - h gradient
        variable = variable + p / 2
        p = decay p + sqrt((1 - decay**2) h temperature) z
        variable = variable + p / 2

    With momentum = (1 + decay) / 2 p, the two halves of A make the one sum below.
    """
    push = ops.sqrt(2 * (1 - decay) * learning_rate * temperature) * z
    carried = momentum - learning_rate * gradient
    momentum = decay * carried + (1 + decay) / 2 * push
    # Half the push as the momentum holds it, so that XLA draws the noise only once.
    half = (momentum - decay * carried) / (1 + decay)
    return variable + (carried + half), momentum


def sgnht(
    gradient, variable, momentum, xi, z, learning_rate, decay, temperature, coupling
):
    """The thermostat of Ding et al., 2014, one for each element.

    xi is the friction beyond 1 - decay. What the thermostat holds at one is the kinetic
    energy over that of a free particle under `sghmc`, 2 η T / (1 + kept).
    """
    kept = decay - xi
    push = ops.sqrt(2 * (1 - decay) * learning_rate * temperature) * z
    momentum = kept * momentum - learning_rate * gradient + push
    variable = variable + momentum
    energy = learning_rate * temperature
    hot = energy > 0  # at temperature zero there is nothing to hold
    rate = ops.where(hot, coupling, 0.0)
    heat = (1 + kept) / 2 * ops.square(momentum) / ops.where(hot, energy, 1.0)
    # A friction above one would turn the momentum about.
    return variable, momentum, ops.minimum(xi + rate * (heat - 1), decay)


def sgnht_without_thermostat(
    gradient, variable, momentum, xi, z, learning_rate, decay, temperature, coupling
):
    """For a variable without noise, which a thermostat would heat by its own motion."""
    variable, momentum = sghmc(
        gradient, variable, momentum, z, learning_rate, decay, temperature
    )
    return variable, momentum, xi
