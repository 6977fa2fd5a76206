"""Which variables are updated together, and which in parts.

Half of a network's variables are vectors of a few hundred numbers. A program for
each costs more to compile and to start than to run; copies into one matrix and back
cost little as long as they fit into a processor's cache. PyTorch compiles nothing:
there an update is fifty passes over memory, and a large variable is updated in parts
that stay in the cache.
"""

import math

from keras_asgld import backend

WIDTH = 128
# Elements of a matrix: with the gradient and two slots, two megabytes.
BUDGET = 2**17
# Where large variables are updated in parts, one of more elements is, too, as a single
# part, since copies of it would cost more than to start the operations once more.
LONE = 2**15
# The copies may take a twentieth of the memory that a step takes anyway, or 64 kB.
SHARE = 20
ALWAYS = 2**12


def choose(shapes, kinds):
    """Which variables to update together: the smallest, as many as the budget takes.

    Where a backend packs all, there are as many such groups as it takes, and what is
    left over is too large or the only one of its kind.

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
        budget = largest = backend.budget(BUDGET)
        if backend.PACKS_ALL:
            largest = min(largest, backend.budget(LONE))
        else:
            size = sum(math.prod(shapes[i]) for i in positions)
            budget = min(budget, max(size // SHARE, ALWAYS))
        group, size = [], 0
        groups = [group]
        for position in sorted(positions, key=lambda i: math.prod(shapes[i])):
            added = row_count(shapes[position]) * WIDTH
            if added > largest:
                break
            if size + added > budget:
                if not backend.PACKS_ALL:
                    break
                group, size = [], 0
                groups.append(group)
            group.append(position)
            size += added
        chosen += groups
    return [positions for positions in chosen if len(positions) > 1]


def begins(size):
    """Where the parts begin in which to update a variable of that many elements."""
    return range(0, size, BUDGET)


def row_count(shape):
    """The rows of a matrix that a variable of this shape takes."""
    return -(-math.prod(shape) // WIDTH)
