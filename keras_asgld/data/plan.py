"""An epoch's order and draws as a function of (seed, epoch), by NumPy alone.

These are the numbers of `tf.random`'s stateless operations on a CPU, which `streams`
draws inside its graph: a run has the same batches with TensorFlow and without it.
"""

import numpy as np

_32_BITS = np.uint64(2**32 - 1)
_ROUNDS = 10
_NO_EPOCH = 2**63 - 1  # stands for an epoch where a number belongs to none


def plan(seed, epoch, count, ways, alternating=False):
    """Returns the order of `count` examples in an epoch, and random draws for each.

    Args:
        seed, epoch: Non-negative integers below 2**63.
        count: Positive integer.
        ways: How many values each column of the draws may take.
        alternating: Whether the last column, of two values, is each time the other one
            than in the epoch before, beginning with the example's `sides`.

    Returns:
        A permutation of `range(count)`, int32 `[count]`, and the draws, int32
        `[count, len(ways)]`, uniform over `range(ways[i])` in column `i`.
    """
    order_seed, draw_seed = _split((seed, epoch))
    order, draws = shuffled(count, order_seed), draw(count, ways, draw_seed)
    if alternating:
        draws[:, -1] = (sides(seed, count)[order] + epoch) % 2
    return order, draws


def sides(seed, count):
    """A zero or a one for each example, in any epoch the same: int32 `[count]`."""
    return draw(count, (2,), _split((seed, _NO_EPOCH))[1])[:, 0]


def shuffled(count, seed):
    """`tf.random.experimental.stateless_shuffle(tf.range(count), seed)`."""
    place = np.arange(count - 1)
    partners = place + _words(seed, count)[:-1] % (count - place)
    order = list(range(count))  # a loop over a list is faster than over an array
    for i, j in enumerate(partners.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int32)


def draw(count, ways, seed):
    """`tf.random.stateless_uniform`, spread over the ways."""
    mantissas = _words(seed, count * len(ways)) & np.uint32(2**23 - 1)
    uniform = (mantissas | np.uint32(127 << 23)).view(np.float32) - np.float32(1)
    return (uniform.reshape(count, len(ways)) * np.float32(ways)).astype(np.int32)


def _split(seed):
    """`tf.random.split`: two new seeds, int64 `[2, 2]`."""
    return _words(seed, 8).view(np.int64).reshape(2, 2)


def _words(seed, count):
    """The first uint32 words of the stream that TensorFlow gives to a seed."""
    low, high = (int(part) % 2**64 for part in seed)
    mixed = _philox((0x3EC8F720, 0x02461E29), _counters(low, high, 1))[0]
    counters = _counters(0, int(mixed[2]) | int(mixed[3]) << 32, -(-count // 4))
    return _philox(mixed[:2].tolist(), counters).reshape(-1)[:count]


def _counters(low, high, count):
    """`count` counters of 128 bits from a first one on, as four columns of words."""
    low = np.uint64(low) + np.arange(count, dtype=np.uint64)
    high = np.full(count, high, np.uint64)
    shift = np.uint64(32)
    return low & _32_BITS, low >> shift, high & _32_BITS, high >> shift


def _philox(key, counters):
    """Philox 4x32-10 (Salmon et al. 2011): uint32 `[n, 4]`."""
    a, b, c, d = counters
    shift = np.uint64(32)
    for i in range(_ROUNDS):
        first = np.uint64((key[0] + i * 0x9E3779B9) % 2**32)
        second = np.uint64((key[1] + i * 0xBB67AE85) % 2**32)
        left, right = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (right >> shift) ^ b ^ first, right & _32_BITS
        c, d = (left >> shift) ^ d ^ second, left & _32_BITS
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)
