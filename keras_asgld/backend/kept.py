"""PyTorch: memory that is used again and again, and so is in a processor's cache."""

import math
import threading

import torch

from keras_asgld.backend import matrix

# A cache holds no more elements; and for a GPU PyTorch keeps free memory by itself.
_LARGEST = 2**18
# Views of this memory are as good as free, but there may be ever new shapes.
_VIEWS = 1000


class _Kept(threading.local):
    """Each thread's memory by name, and views of it."""

    def __init__(self):
        self.memory = {}
        self.views = {}


_kept = _Kept()


def buffers(dtypes, like):
    """Tensors of one shape and these dtypes, which the next call may give again."""
    if not _can_keep(like.shape, like.device):
        return [torch.empty_like(like, dtype=dtype) for dtype in dtypes]
    key = dtypes, like.shape
    if key not in _kept.views:
        views = [_tensor(n, dtype, like.shape) for n, dtype in enumerate(dtypes)]
        _keep(key, views)
    return _kept.views[key]


def joining(shapes, width, column, like):
    """A matrix for tensors of which each begins a new row, and views for them.

    The next call for the same column may give the same memory.
    """
    shape = matrix.spans(shapes, width)[0], width
    if not _can_keep(shape, like.device):
        made = torch.empty(shape, dtype=like.dtype, device=like.device)
        return made, _parts(made, shapes, width)
    key = column, shapes, width, like.dtype
    if key not in _kept.views:
        made = _tensor(("column", column), like.dtype, shape)
        _keep(key, (made, _parts(made, shapes, width)))
    return _kept.views[key]


def parts(joined, shapes, width, column):
    """The views that `joining` gave, or such views of another matrix."""
    made, views = _kept.views.get((column, shapes, width, joined.dtype), (None, None))
    return views if made is joined else _parts(joined, shapes, width)


def _parts(joined, shapes, width):
    _, begins, sizes = matrix.spans(shapes, width)
    vector = joined.view(-1)
    return [
        vector.narrow(0, *span).view(shape)
        for *span, shape in zip(begins, sizes, shapes, strict=True)
    ]


def _can_keep(shape, device):
    return device.type == "cpu" and math.prod(shape) <= _LARGEST


def _keep(key, views):
    if len(_kept.views) >= _VIEWS:
        _kept.views.clear()
    _kept.views[key] = views


def _tensor(name, dtype, shape):
    if name not in _kept.memory:
        _kept.memory[name] = torch.empty(_LARGEST, dtype=torch.float64, device="cpu")
    return _kept.memory[name].view(dtype)[: math.prod(shape)].view(shape)
