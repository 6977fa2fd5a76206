"""`build`: from a network's name to a model whose first weights depend on a seed."""

import contextlib
import difflib
import functools
import random

from keras_asgld.checks import check_seed
from keras_asgld.models import pretrained
from keras_asgld.models.airbench import airbench
from keras_asgld.models.applications import (
    PREFIX,
    application,
    application_names,
    check_arguments,
)
from keras_asgld.models.densenet import densenet
from keras_asgld.models.resnet import resnet
from keras_asgld.models.saved_module import MAX_UNPACKED_BYTES
from keras_asgld.models.small import (
    autoencoder,
    digits_network,
    gru,
    mlp,
    plain_cnn,
    small_cnn,
)
from keras_asgld.models.text import bag, lstm, transformer

_BUILDERS = {
    "digits": digits_network,
    "cnn": small_cnn,
    "cnn-narrow": functools.partial(small_cnn, width=16),
    "cnn-plain": plain_cnn,
    "airbench": airbench,
    "airbench-narrow": functools.partial(airbench, widths=(64, 128, 128)),
    "airbench-tiny": functools.partial(airbench, widths=(32, 64, 128)),
    "gru": gru,
    "mlp": mlp,
    "autoencoder": autoencoder,
    "bag": bag,
    "lstm": lstm,
    "transformer": transformer,
    **{
        f"resnet{depth}": functools.partial(resnet, depth)
        for depth in (8, 14, 18, 20, 32, 34, 44, 56)
    },
    **{
        f"densenet{depth}": functools.partial(densenet, depth)
        for depth in (121, 169, 201)
    },
}
MODELS = tuple(_BUILDERS)


def build(
    name,
    input_shape,
    num_classes,
    seed=None,
    *,
    weights=None,
    mean=0.0,
    std=1.0,
    max_unpacked_bytes=MAX_UNPACKED_BYTES,
):
    """Builds a network by name.

    ```python
    from keras_asgld import models

    network = models.build("resnet8", (32, 32, 3), 10, seed=1)
    assert network.count_params() > 70_000
    ```

    Args:
        name: One of `MODELS`; or `"applications/"` and the name of a network in
            `keras.applications`, such as `"applications/MobileNetV2"`, if need be with
            its width (`"applications/MobileNetV2:alpha=0.35"`); or `"hub/"` and the
            handle of a TF2 Hub module, as `HubLayer` takes it.
        input_shape: Height, width and channels; for `"mlp"` any shape; for
            `"autoencoder"` the number of columns, for `"bag"`, `"lstm"` and
            `"transformer"` that of tokens.
        num_classes: Positive integer, length of the output.
        seed: Non-negative integer; the initial weights are a function of it and of the
            other arguments. `None` leaves them to `keras.utils.set_random_seed`.
        weights: For applications only: `None` (random), `"imagenet"`, or the path of a
            weights file without the last layer.
        mean, std: For applications only: the numbers by which the pipeline normalised
            its pictures, `data.preprocessing.mean` and `.std`. The default means pixels
            in [0, 1].
        max_unpacked_bytes: For Hub modules only, see `HubLayer`.

    Returns:
        A Keras model from pictures to logits: use a loss with `from_logits=True`.

    Raises:
        ValueError: On an unknown name, a seed that is no non-negative integer, or
            `weights` for a network that takes none.
    """
    check_name("name", name)
    check_seed(seed)
    is_hub = name.startswith(pretrained.PREFIX)
    if (is_hub or name in MODELS) and weights is not None:
        raise ValueError(
            f"`weights` must be None for {name}, which takes no file of "
            f"weights. Received: weights={weights!r}"
        )
    with _initializers_seeded(seed):
        if name in MODELS:
            return _BUILDERS[name](input_shape=input_shape, classes=num_classes)
        if is_hub:
            return pretrained.hub_network(
                name.removeprefix(pretrained.PREFIX),
                input_shape,
                num_classes,
                mean=mean,
                std=std,
                max_unpacked_bytes=max_unpacked_bytes,
            )
        return application(
            name.removeprefix(PREFIX),
            input_shape,
            num_classes,
            weights=weights,
            mean=mean,
            std=std,
        )


def check_name(argument, name):
    """Raises a ValueError that names the argument where no network has this name."""
    known = (*MODELS, *(PREFIX + each for each in application_names()))
    is_hub = isinstance(name, str) and name.startswith(pretrained.PREFIX)
    if not is_hub and _plain(name) not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"`{argument}` must be one of {', '.join(MODELS)}, {PREFIX}NAME, a "
            f"network of keras.applications, or {pretrained.PREFIX}HANDLE.{hint} "
            f"Received: {argument}={name!r}"
        )
    if not is_hub and name.startswith(PREFIX):
        check_arguments(argument, name)


def _plain(name):
    """The name without the argument that an application may be given."""
    application = isinstance(name, str) and name.startswith(PREFIX)
    return name.partition(":")[0] if application else name


@contextlib.contextmanager
def _initializers_seeded(seed):
    # An initializer or a dropout layer without a seed draws one from Python's global
    # generator when it is made. Seeding that reaches every layer, also those of
    # keras.applications, which take no initializer. Its state is restored afterwards.
    if seed is None:
        yield
        return
    state = random.getstate()
    random.seed(int(seed))
    try:
        yield
    finally:
        random.setstate(state)
