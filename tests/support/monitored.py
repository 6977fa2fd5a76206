"""A small model, its data, and an optimizer that tells what gradients it was given."""

import keras
import numpy as np
from keras import ops

from tests.support import reference
from tests.support.family import FAMILY

N, BATCH = 24, 8
STEPS = N // BATCH


def make(name, **changes):
    cls, numbers = FAMILY[name]
    return cls(**{**numbers, "seed": 7, **changes})


def small_model(normalised=False):
    """Two layers, or three with batch normalisation, on four features.

    Of equal shapes, since a program is compiled for each.
    """
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(4, activation="tanh", name="hidden"),
        keras.layers.Dense(4, name="output"),
    ]
    if normalised:
        layers.insert(2, keras.layers.BatchNormalization(momentum=0.5, name="norm"))
    return keras.Sequential(layers)


def compiled(optimizer, normalised=False, **others):
    model = small_model(normalised)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **others)
    return model


def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 4)).astype("float32")
    return x, rng.integers(4, size=N)


def fit(model, epochs, callbacks, **others):
    x, y = data()
    others = {"batch_size": BATCH, "shuffle": False, "verbose": 0, **others}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **others).history


def as_numpy(tensor):
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def record_gradients(optimizer):
    """Lets the optimizer tell, in a model that runs eagerly, what its rule was given.

    Returns:
        A dict from (update, variable index) to the gradient in float64.
    """
    gradients = {}
    step = optimizer._backend_update_step

    def recorded(tensors, variables, learning_rate):
        for gradient, variable in zip(tensors, variables, strict=True):
            place = int(optimizer.iterations), optimizer._get_variable_index(variable)
            gradients[place] = as_numpy(gradient).astype("float64")
        return step(tensors, variables, learning_rate)

    optimizer._backend_update_step = recorded
    return gradients


def by_hand(optimizer, gradients, update, rate=0.05, noisy=lambda index: True):
    """The figures of one update, in float64, from the gradients since the first."""
    name = next(name for name, (cls, _) in FAMILY.items() if isinstance(optimizer, cls))
    numbers = FAMILY[name][1]
    T, rho = numbers.get("temperature"), numbers.get("momentum", numbers.get("rho"))
    psi, epsilon = numbers.get("noise"), numbers.get("epsilon")
    gradient, random, mean, heats = [], [], [], []
    for index in sorted({index for _, index in gradients}):
        a = b = 0.0
        for t in range(update + 1):
            g = gradients[t, index]
            z = reference.draw(optimizer, index, t, g.shape) * noisy(index)
            step, mu, heat = rate * g, 0 * g, T
            if name in ("ASGLD", "ScaleFreeASGLD"):
                old, a = a, rho * a + (1 - rho) * g
                b = rho * b + (1 - rho) * (g - a) * (g - old)
                scale = rate
                if name == "ScaleFreeASGLD":
                    v = (b + a**2) / (1 - rho ** (t + 1))
                    scale = rate / (np.sqrt(v) + epsilon)
                step, mu = scale * g, scale * psi * a
                push = scale * psi * np.sqrt(b) * z
                heat = scale * psi**2 * b / (2 * (1 + psi))
            elif name == "SGLD":
                push = np.sqrt(2 * rate * T) * z
            elif name == "PSGLD":
                a = rho * a + (1 - rho) * g**2
                weights = 1 - rho ** (t + 1)
                G = 1 / (epsilon + np.sqrt(a / weights))
                bound = rate * np.sqrt(weights / (1 - rho)) / rho ** (t + 1)
                step = G * step
                push = np.minimum(np.sqrt(2 * rate * T * G), bound) * z
            else:
                push = np.sqrt(2 * (1 - rho) * rate * T) * z
                if name == "BAOA":
                    a = rho * (a - rate * g) + (1 + rho) / 2 * push
                    heat = 2 * a**2 / ((1 + rho) * rate)
                    continue
                kept = rho - b  # the friction of SGNHT beyond 1 - rho
                a = kept * a - rate * g + push
                heat = (1 + kept) * a**2 / (2 * rate)
                if name == "SGNHT":
                    excess = numbers["coupling"] * (heat / T - 1) * noisy(index)
                    b = np.minimum(b + excess, rho)
        gradient.append(step.ravel())
        random.append(push.ravel())
        mean.append(mu.ravel())
        if noisy(index):
            heats.append(np.broadcast_to(heat, g.shape).ravel())
    gradient, random, mean = map(np.concatenate, (gradient, random, mean))
    figures = {
        "noise_norm": np.linalg.norm(random),
        "gradient_norm": np.linalg.norm(gradient),
        "noise_to_gradient": np.linalg.norm(random) / np.linalg.norm(gradient),
        "temperature": np.concatenate(heats).mean(),
        "effective_learning_rate": rate,
    }
    if psi is not None:
        whole = mean @ mean + random @ random
        figures["mean_share"] = mean @ mean / whole
        figures["variance_share"] = random @ random / whole
        figures["effective_learning_rate"] = rate * (1 + psi)
    elif name in ("SGHMC", "SGNHT", "BAOA"):
        figures["effective_learning_rate"] = rate / (1 - rho)
    return figures
