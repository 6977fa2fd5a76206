"""How small tensors lie in one matrix: each begins a new row."""

import functools
import itertools
import math


@functools.cache
def spans(shapes, width):
    """Where each tensor lies, counted in elements.

    Returns:
        The number of rows, a list of where the tensors begin and one of their sizes.
    """
    sizes = [math.prod(shape) for shape in shapes]
    rows = [-(-size // width) for size in sizes]
    *ends, last = itertools.accumulate(rows, initial=0)
    return last, [width * end for end in ends], sizes
