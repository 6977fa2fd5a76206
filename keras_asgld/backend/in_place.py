"""PyTorch: a rule of tensors as a program that writes over the tensors of its state.

There each operation is a pass over memory, and each new tensor takes another's place in
the cache. So a product that is only added is added by the same pass, what the rule
returns is written where it is kept, and the rest over the noise and one more tensor.
"""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

aten = torch.ops.aten

# Operations on each element alone. A rule with any other is left as it is.
_ELEMENTWISE = {
    *(aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor),
    *(aten.add.Scalar, aten.sub.Scalar, aten.mul.Scalar, aten.div.Scalar),
    *(aten.rsub.Scalar, aten.neg.default, aten.reciprocal.default, aten.sqrt.default),
    *(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor, aten.pow.Scalar),
    *(
        aten.addcmul.default,
        aten.minimum.default,
        aten.maximum.default,
        aten.where.self,
        aten.gt.Scalar,
    ),
}


def program(rule, state, z, numbers):
    """The rule as a function of the same arguments, which may write over state and z.

    Args:
        rule: A function of `rules`.
        state, z, numbers: What it will be given: the variable and its slots, the noise
            and scalars.
    """
    gradient, *state, z = [torch.ones(2).to(x) for x in (z, *state, z)]
    traced = make_fx(rule)(gradient, *state, z, *numbers)
    graph = traced.graph
    tensors = [node for node in graph.nodes if _is_tensor(node)]
    inputs = [node for node in tensors if node.op == "placeholder"]
    calls = [node for node in tensors if node.op == "call_function"]
    if not {node.target for node in calls} <= _ELEMENTWISE:
        return rule
    _add_products(graph, calls)
    _write_over(graph, inputs[1:-1], inputs[-1])
    traced.recompile()
    return traced


def _is_tensor(node):
    """Whether it has the variable's shape; the others are numbers."""
    return "val" in node.meta and node.meta["val"].ndim > 0


def _add_products(graph, calls):
    for node in calls:
        if node.target not in (aten.add.Tensor, aten.sub.Tensor) or node.kwargs:
            continue
        first, second = node.args
        if node.target == aten.add.Tensor and not _is_product(second):
            first, second = second, first
        if _is_product(second) and _is_tensor(first):
            sign = 1 if node.target == aten.add.Tensor else -1
            node.target = aten.addcmul.default
            node.args, node.kwargs = (first, *second.args), {"value": sign}
            graph.erase_node(second)


def _is_product(node):
    product = isinstance(node, torch.fx.Node) and node.target == aten.mul.Tensor
    return product and _is_tensor(node) and len(node.users) == 1


def _write_over(graph, state, z):
    """Gives each operation a tensor to write into whose values are needed no more."""
    order = {node: place for place, node in enumerate(graph.nodes)}
    [[results]] = [node.args for node in graph.nodes if node.op == "output"]
    place_of = dict(zip(results, state, strict=True))
    spare = [z]
    # For each tensor what was written into it, at first its own values.
    written = {tensor: [tensor] for tensor in [*state, z]}

    def is_free(tensor, node):
        users = [user for value in written[tensor] for user in value.users]
        return all(order[user] <= order[node] for user in users if user in order)

    for node in list(graph.nodes):
        if node.target not in _ELEMENTWISE or not _is_tensor(node):
            continue
        candidates = [place_of[node]] if node in place_of else spare
        tensor = next((each for each in candidates if is_free(each, node)), None)
        if tensor is None and node not in place_of:
            with graph.inserting_after(z):
                tensor = graph.call_function(aten.empty_like.default, (z,))
            spare.append(tensor)
            written[tensor] = []
        if tensor is not None:
            written[tensor].append(node)
            node.target = _writing(node.target)
            node.kwargs = {**node.kwargs, "out": tensor}


def _writing(operation):
    packet, name = operation.overloadpacket, f"{operation._overloadname}_out"
    return getattr(packet, name if name in packet.overloads() else "out")
