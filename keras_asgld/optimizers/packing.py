"""Which variables are updated together, and which in parts.

Half of a network's variables are vectors of a few hundred numbers. A program for
each costs more to compile and to start than to run; copies into one matrix and back
cost little as long as they fit into a processor's cache. PyTorch compiles nothing:
there an update is eighty passes over memory, and a large variable is updated in parts
that stay in the cache.
"""

import math

from keras_asgld import backend

WIDTH = 128
# Elements of a matrix: with the gradient and two slots, two megabytes.
BUDGET = 2**17
# The copies may take a twentieth of the memory that a step takes anyway, or 64 kB.
SHARE = 20
ALWAYS = 2**12


def choose(shapes, kinds):
    """Which variables to update together: the smallest, as many as the budget takes.

    Where a backend packs all, there are as many such groups as it takes, and what is
    left over is larger than the budget or the only one of its kind.

    Args:
        shapes: The variables' shapes.
        kinds: Their kinds, hashable. Only variables of one kind are put together.

    Returns:
        A list of lists of positions, empty where variables may not be copied together.
    """
    if not backend.may_pack():
        return []
    kindred = {}
    for position, kind in enumerate(kinds):
        kindred.setdefault(kind, []).append(position)
    chosen = []
    for positions in kindred.values():
        budget = backend.budget(BUDGET)
        if not backend.PACKS_ALL:
            size = sum(math.prod(shapes[i]) for i in positions)
            budget = min(budget, max(size // SHARE, ALWAYS))
        group, size = [], 0
        groups = [group]
        for position in sorted(positions, key=lambda i: math.prod(shapes[i])):
            added = row_count(shapes[position]) * WIDTH
            if size + added > budget:
                if added > budget or not backend.PACKS_ALL:
                    break
                group, size = [], 0
                groups.append(group)
            group.append(position)
            size += added
        chosen += groups
    return [positions for positions in chosen if len(positions) > 1]


def parts(variable):
    """The parts in which to update a variable.

    Returns:
        A list of (begin, end) in elements; empty where it is better updated whole.
    """
    size = math.prod(variable.shape)
    # Beyond 2**32 elements a row of a matrix could not say where it begins.
    if not BUDGET < size <= 2**32 or not backend.may_cut(variable):
        return []
    return [(n, min(n + BUDGET, size)) for n in range(0, size, BUDGET)]


def row_count(shape):
    """The rows of a matrix that a variable of this shape takes."""
    return -(-math.prod(shape) // WIDTH)
