"""What the graphs of a SavedModel take, compared with what they are given."""


def describe(inputs):
    """Shapes and dtypes of tensors, or of TensorFlow's descriptions, in words."""
    if isinstance(inputs, dict):
        parts = (f"{name!r}: {describe(each)}" for name, each in inputs.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(inputs, (list, tuple)):
        return f"[{', '.join(map(describe, inputs))}]"
    if not hasattr(inputs, "shape"):
        return type(inputs).__name__
    dtype = getattr(inputs.dtype, "name", inputs.dtype)
    return f"{dtype} of shape {inputs.shape}"


def fit(inputs, expected):
    """Whether tensors are of the shapes and dtypes that a graph takes."""
    if isinstance(expected, dict):
        return (
            isinstance(inputs, dict)
            and inputs.keys() == expected.keys()
            and all(fit(inputs[name], each) for name, each in expected.items())
        )
    if not hasattr(expected, "shape"):
        return True  # more than is understood here
    return (
        hasattr(inputs, "shape")
        and expected.shape.is_compatible_with(inputs.shape)
        and getattr(inputs.dtype, "name", inputs.dtype) == expected.dtype.name
    )


def common_shapes(inputs):
    """The shapes of a module's tensors by name, as far as its graphs agree.

    Args:
        inputs: What each graph takes.

    Returns:
        A dict of shapes: tuples with None where the graphs differ or any length will
        do, or None where they are not of one rank. Empty if the names differ.
    """
    graphs = [each if isinstance(each, dict) else {None: each} for each in inputs]
    names = graphs[0].keys() if graphs else ()
    tensors = [each for graph in graphs for each in graph.values()]
    if any(graph.keys() != names for graph in graphs) or not all(
        hasattr(each, "shape") for each in tensors
    ):
        return {}
    return {
        name or graphs[0][name].name: _common_shape([g[name].shape for g in graphs])
        for name in sorted(names, key=str)
    }


def _common_shape(shapes):
    """The shape that all fit, or None where they are not of one rank."""
    if None in [shape.rank for shape in shapes] or len({*map(len, shapes)}) != 1:
        return None
    axes = [set(lengths) for lengths in zip(*shapes, strict=True)]
    return tuple(axis.pop() if len(axis) == 1 else None for axis in axes)
