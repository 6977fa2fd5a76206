"""Several chains of one optimizer at once, each with noise of its own."""

import numpy as np
from keras import ops

from keras_asgld import noise
from keras_asgld.checks import check_seed


def stacked_variables(optimizer, seeds):
    """The state of several chains, each with noise of its own, for `jax.vmap`.

    Stacking `optimizer.variables` by hand would give all chains the same noise, and
    so correlate them.

    ```python
    import keras
    from keras_asgld import SGLD

    weight = keras.Variable([1.0, 2.0])
    optimizer = SGLD(0.1, temperature=1.0)
    optimizer.build([weight])
    state = optimizer.stacked_variables(seeds=[0, 1, 2])
    assert all(len(value) == 3 for value in state)
    ```

    Args:
        optimizer: A `LangevinOptimizer` that is built.
        seeds: A list of non-negative integers, one a chain.

    Returns:
        For each of `optimizer.variables` a tensor with one more axis, the first,
        along which are the chains. Chain i goes on as this optimizer would if it
        had been made with `seed=seeds[i]`. `stateless_apply` under `jax.vmap`
        takes it.

    Raises:
        ValueError: If the optimizer is not built, or a seed is no non-negative
            integer or occurs twice.
    """
    seeds = list(seeds)
    if not optimizer.built:
        raise ValueError(
            "`stacked_variables()` can only be called once the optimizer is built. "
            f"Received: an optimizer that is not, name={optimizer.name!r}"
        )
    for seed in seeds:
        check_seed(seed)
    if None in seeds or len(set(seeds)) < len(seeds) or not seeds:
        raise ValueError(
            f"`seeds` must be different non-negative integers. Received: seeds={seeds}"
        )
    count = len(optimizer._kinds)
    words = [noise.noise_words(int(seed), count, optimizer._stream) for seed in seeds]
    values = [
        words
        if variable is optimizer.noise_words
        else [ops.convert_to_numpy(variable)] * len(seeds)
        for variable in optimizer.variables
    ]
    return [ops.convert_to_tensor(np.stack(each)) for each in values]
