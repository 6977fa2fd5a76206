"""A model that averages others, and the function that gives probabilities."""

import keras


def probabilities_by_loss(loss):
    """The function from a model's outputs to probabilities that its loss implies.

    Raises:
        ValueError: If the loss is a plain function or missing, and implies none.
    """
    if not isinstance(loss, (str, keras.losses.Loss)):
        raise ValueError(
            "`activation` must be given where the model's loss is no `keras.losses` "
            f"object or name. Received: activation=None, loss={loss!r}"
        )
    if not getattr(loss, "from_logits", False):
        return keras.activations.linear
    binary = isinstance(
        loss,
        (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy),
    )
    return keras.activations.sigmoid if binary else keras.activations.softmax


def averaged(members, activation):
    """A Keras model of the mean of `activation(member(inputs))`.

    Args:
        members: An iterable of models of one architecture, at least one; each is copied
            before the next is asked for, so that they may all be one model whose
            weights change.
        activation: A function that Keras can save.
    """
    inputs, outputs = None, []
    for number, member in enumerate(members):
        if getattr(member, "inputs", None) is None or len(member.outputs) != 1:
            raise ValueError(
                "`model` must be a sequential or functional model of one output. "
                f"Received: model={member!r}"
            )
        config = {**member.get_config(), "name": f"member_{number}"}
        copy = type(member).from_config(config)
        if inputs is None:
            inputs = keras.tree.map_structure(
                lambda x: keras.Input(x.shape[1:], dtype=x.dtype), _inputs(member)
            )
        probabilities = keras.layers.Activation(activation, dtype=keras.config.floatx())
        outputs.append(probabilities(copy(inputs)))
        copy.set_weights(member.get_weights())
        copy.trainable = False
    mean = keras.layers.Average(name="mean", dtype=keras.config.floatx())
    output = mean(outputs) if len(outputs) > 1 else outputs[0]
    return keras.Model(inputs, output, name="weight_ensemble")


def _inputs(model):
    if isinstance(model, keras.Sequential):  # whose `input` may never have been made
        return model.inputs[0]
    return model.input
