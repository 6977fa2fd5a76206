"""PyTorch: a function of tensors as passes over memory that stays in the cache.

There each operation is a pass over memory, and each new tensor takes another's place in
the cache. So a product that is only added is added by the same pass, results are
written where they are kept, and what is between them into a few buffers that the next
call finds still in the cache. What is made of numbers alone is made once a step.
"""

import itertools

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import _disable_current_modes

from keras_asgld.backend import kept

aten = torch.ops.aten


def _cast(tensor, *, out):
    return out.copy_(tensor)


def _zeros(tensor, *, out):
    return out.zero_()


# Operations on each element alone, and how to call them: PyTorch takes longer to start
# its `ops` than its functions. A function with any other is left as it is.
_CALLS = {
    **dict.fromkeys([aten.add.Tensor, aten.add.Scalar], torch.add),
    **dict.fromkeys([aten.sub.Tensor, aten.sub.Scalar, aten.rsub.Scalar], torch.sub),
    **dict.fromkeys([aten.mul.Tensor, aten.mul.Scalar], torch.mul),
    **dict.fromkeys([aten.div.Tensor, aten.div.Scalar], torch.div),
    aten.addcmul.default: torch.addcmul,
    aten.neg.default: torch.neg,
    aten.reciprocal.default: torch.reciprocal,
    aten.sqrt.default: torch.sqrt,
    aten.pow.Tensor_Scalar: torch.pow,
    aten.pow.Tensor_Tensor: torch.pow,
    aten.pow.Scalar: torch.pow,
    aten.minimum.default: torch.minimum,
    aten.maximum.default: torch.maximum,
    aten.where.self: torch.where,
    aten.gt.Scalar: torch.gt,
    **dict.fromkeys(
        [aten.bitwise_and.Tensor, aten.bitwise_and.Scalar], torch.bitwise_and
    ),
    **dict.fromkeys(
        [aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar], torch.bitwise_xor
    ),
    **dict.fromkeys([aten.bitwise_or.Tensor, aten.bitwise_or.Scalar], torch.bitwise_or),
    aten.bitwise_right_shift.Tensor_Scalar: torch.bitwise_right_shift,
    aten._to_copy.default: _cast,
    aten.zeros_like.default: _zeros,
}
# Which take a tensor of one number in less time than the number.
_TAKE_TENSORS = {
    *(torch.add, torch.sub, torch.mul, torch.div, torch.addcmul),
    *(torch.bitwise_and, torch.bitwise_xor, torch.bitwise_or),
    torch.bitwise_right_shift,
}
_FULL = (2, 2)


# Who watches a step's operations, as some profilers do, is not shown these.
@_disable_current_modes()
def program(function, state, others, spare, numbers):
    """`function(state, others, spare, numbers)`, with its results over the state.

    Args:
        function: It returns as many tensors as the state has, of the same dtypes.
        state: Examples of a list of tensors, all of one shape.
        others: Examples of a list of tensors, of that shape or such that they broadcast
            to it.
        spare: Examples of a list of tensors of that shape that may be written over.
        numbers: Examples of a tuple of scalars.

    Returns:
        A function of all these tensors in one list, and of numbers, or `None` if not
        each element is made of those at its place.
    """
    lengths = [len(state), len(others), len(spare)]

    def flat(*arguments):
        rest = iter(arguments)
        lists = [list(itertools.islice(rest, length)) for length in lengths]
        return function(*lists, tuple(rest))

    shape = state[0].shape
    examples = [
        torch.ones(_FULL if x.shape == shape else (2, 1)).to(x.device, x.dtype)
        for x in (*state, *others, *spare)
    ]
    traced = make_fx(flat)(*examples, *numbers)
    if not all(_is_known(node) for node in traced.graph.nodes):
        return None
    # A tensor of the state that is to become another one may be written over too soon.
    arguments = traced.graph.find_nodes(op="placeholder")
    [output] = traced.graph.find_nodes(op="output")
    moved = zip(arguments, output.args[0], strict=False)
    if any(_origin(new).op != "call_function" and new != old for old, new in moved):
        return None
    return _Program(traced, *lengths)


class _Program:
    def __init__(self, traced, state, others, spare):
        graph = traced.graph
        arguments = graph.find_nodes(op="placeholder")[: state + others + spare]
        for target in (aten.detach.default, aten.lift_fresh_copy.default):
            for node in graph.find_nodes(op="call_function", target=target):
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
        graph.eliminate_dead_code()
        self._numbers = _without_numbers(traced, arguments)
        _add_products(graph)
        self._constants = _call_functions(graph)
        self._buffers = _write_over(
            graph, arguments[:state], arguments[state + others :]
        )
        traced.graph.lint()
        traced.recompile()
        self._passes = traced.forward
        self._last = None, None

    def __call__(self, tensors, numbers):
        # The groups of a step are given one and the same tuple of numbers.
        last, values = self._last
        if last is not numbers:
            values = self._numbers(*numbers)
            self._last = numbers, values
        buffers = kept.buffers(self._buffers, tensors[0])
        self._passes(*tensors, *values, *self._constants, *buffers)


def _shape(node):
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None


def _is_full(node):
    return isinstance(node, torch.fx.Node) and _shape(node) == _FULL


def _is_number(node):
    """Whether it is made of numbers alone."""
    return node.op == "get_attr" or _shape(node) == ()


def _is_alias(node):
    return node.target in (aten.view.dtype, aten.detach.default)


def _is_known(node):
    if node.op != "call_function" or _is_number(node):
        return True
    return _is_full(node) and (_is_alias(node) or node.target in _CALLS)


def _without_numbers(traced, tensors):
    """Takes what is made of numbers alone out of a graph.

    Returns:
        A function of the numbers; the graph's further arguments are what it returns.
    """
    graph = traced.graph
    apart, copies = torch.fx.Graph(), {}
    for node in graph.nodes:
        if _is_number(node) and node not in tensors:
            copies[node] = apart.node_copy(node, copies.__getitem__)
    used = [node for node in copies if any(user not in copies for user in node.users)]
    apart.output(tuple(copies[node] for node in used))
    for node in used:
        argument = _argument(graph, f"number_{node.name}")
        argument.meta = node.meta
        node.replace_all_uses_with(argument, lambda user: user not in copies)
    for node in reversed(copies):
        graph.erase_node(node)
    return torch.fx.GraphModule(traced, apart).forward


def _add_products(graph):
    for node in list(graph.nodes):
        if node.target not in (aten.add.Tensor, aten.sub.Tensor) or node.kwargs:
            continue
        first, second = node.args
        if node.target == aten.add.Tensor and not _is_product(second):
            first, second = second, first
        if not _is_product(second):
            continue
        # With two numbers PyTorch would make it without the processor's vectors.
        if sum(not _is_full(each) for each in (first, *second.args)) < 2:
            sign = 1 if node.target == aten.add.Tensor else -1
            node.target = aten.addcmul.default
            node.args, node.kwargs = (first, *second.args), {"value": sign}
            graph.erase_node(second)


def _is_product(node):
    return _is_full(node) and node.target == aten.mul.Tensor and len(node.users) == 1


def _call_functions(graph):
    """Calls functions of `torch`, and takes numbers for arguments of the graph.

    Returns:
        A list of these, tensors.
    """
    constants = []
    for node in list(graph.nodes):
        if not _is_full(node) or node.target not in _CALLS:
            continue
        arguments = list(node.args)
        if node.target == aten.rsub.Scalar:
            arguments.reverse()
        node.target = _CALLS[node.target]
        if node.target in (_cast, _zeros):
            node.kwargs = {}  # what says of which dtype the result is
        for place, number in enumerate(arguments):
            if node.target in _TAKE_TENSORS and not isinstance(number, torch.fx.Node):
                like = node.meta["val"]
                constant = torch.tensor(number, dtype=like.dtype, device=like.device)
                arguments[place] = _argument(graph, f"constant_{len(constants)}")
                constants.append(constant)
        node.args = tuple(arguments)
    return constants


def _argument(graph, name):
    *_, last = graph.find_nodes(op="placeholder")
    with graph.inserting_after(last):
        return graph.placeholder(name)


class _Buffer:
    """Memory for a tensor, and which values of the graph it holds in turn."""

    def __init__(self, argument):
        self.dtype = argument.meta["val"].dtype
        self.views = {self.dtype: argument}
        self.values = [argument]

    def fits(self, dtype):
        return self.dtype.itemsize == dtype.itemsize

    def last_use(self, order):
        """The place of the last operation that needs what it holds."""
        ahead, last = list(self.values), -1
        while ahead:
            for user in ahead.pop().users:
                last = max(last, order.get(user, -1))
                ahead += [user] if _is_alias(user) else []
        return last

    def view(self, graph, dtype):
        if dtype not in self.views:
            argument = self.views[self.dtype]
            with graph.inserting_after(argument):
                view = graph.call_function(torch.Tensor.view, (argument, dtype))
            self.views[dtype] = view
        return self.views[dtype]


def _write_over(graph, state, spare):
    """Gives each operation memory to write into whose values are needed no more.

    Args:
        graph: A graph.
        state: For each result, the argument to write it over.
        spare: Arguments that may be written over besides.

    Returns:
        The dtypes of further buffers that the graph takes as arguments.
    """
    order = {node: place for place, node in enumerate(graph.nodes)}
    [output] = graph.find_nodes(op="output")
    [results] = output.args
    results = [_origin(node) for node in results]
    buffers = {argument: _Buffer(argument) for argument in [*state, *spare]}
    place_of = {
        result: buffers[argument]
        for result, argument in zip(results, state, strict=True)
    }
    free = [buffers[argument] for argument in spare]
    made = []
    for node in order:
        if not _is_full(node) or node.op != "call_function" or _is_alias(node):
            continue
        dtype = node.meta["val"].dtype
        # Not over what it converts, which is of another type.
        latest = order[node] - (node.target == _cast)
        candidates = [place_of[node]] if node in place_of else free
        candidates = [
            buffer
            for buffer in candidates
            if buffer.last_use(order) <= latest and buffer.fits(dtype)
        ]
        if not candidates:
            made.append(dtype)
            argument = _argument(graph, f"buffer_{len(made)}")
            argument.meta = node.meta
            candidates = [_Buffer(argument)]
            free += candidates
        out = candidates[0].view(graph, dtype)
        candidates[0].values.append(node)
        node.kwargs = {**node.kwargs, "out": out}
    for argument, result in zip(state, results, strict=True):
        if result not in buffers[argument].values:
            with graph.inserting_before(output):
                graph.call_function(torch.Tensor.copy_, (argument, result))
    return tuple(made)


def _origin(node):
    while _is_alias(node):
        node = node.args[0]
    return node
