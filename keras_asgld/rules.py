"""The update equations of the papers: tensors in, tensors out.

Each rule takes the gradient, the variable, its slots and a standard normal draw
`z`, all of one floating-point dtype and shape, and scalars; it returns the new
variable and the new slots. Nothing is stored and nothing is drawn here.
"""

from keras import ops


def asgld(gradient, variable, mu, C, z, learning_rate, momentum, noise):
    """Algorithm 1 of arXiv 1906.04324, one iteration.

    The paper's (1 - rho) (g - mu_t) (g - mu_{t-1}) is written with
    g - mu_t = rho (g - mu_{t-1}). So C cannot go negative in any floating-point
    format, and every line needs only what the lines before it have made: a
    compiler then works in place and keeps no copy of the old mu.
    """
    mu = mu + (1 - momentum) * (gradient - mu)
    # Without momentum C is zero; to divide by it nevertheless would alarm who checks.
    divisor = ops.where(momentum > 0, momentum, 1.0)
    gain = ops.where(momentum > 0, (1 - momentum) / divisor, 0.0)
    C = momentum * C + gain * ops.square(gradient - mu)
    xi = mu + ops.sqrt(C) * z
    variable = variable - learning_rate * (gradient + noise * xi)
    return variable, mu, C


def sgld(gradient, variable, z, learning_rate, temperature):
    """Welling & Teh 2011, equation 4, for a loss in place of a log-posterior."""
    variable = variable - learning_rate * gradient
    return (variable + ops.sqrt(2 * learning_rate * temperature) * z,)


def psgld(gradient, variable, velocity, z, learning_rate, temperature, rho, epsilon):
    """Algorithm 1 of arXiv 1512.07666 without Γ, one iteration."""
    velocity = rho * velocity + (1 - rho) * ops.square(gradient)
    G = 1 / (epsilon + ops.sqrt(velocity))
    variable = variable - learning_rate * G * gradient
    variable = variable + ops.sqrt(2 * learning_rate * temperature * G) * z
    return variable, velocity


def sghmc(gradient, variable, momentum, z, learning_rate, decay, temperature):
    """Equation 15 of arXiv 1402.4102 without noise estimate; decay = 1 - alpha."""
    scale = ops.sqrt(2 * (1 - decay) * learning_rate * temperature)
    momentum = decay * momentum - learning_rate * gradient + scale * z
    return variable + momentum, momentum
