"""Texts as rows of token numbers, all of one length."""

import collections

import numpy as np

# What networks of text make room for. The first two are no tokens.
VOCABULARY = 2048
PADDING, UNKNOWN = 0, 1


def vocabulary(texts):
    """Numbers for the tokens of these texts, the most frequent first.

    Args:
        texts: Lists of tokens, which are strings.

    Returns:
        A dict of a token to its number, for at most `VOCABULARY - 2` of them.
    """
    counts = collections.Counter(token for text in texts for token in text)
    # Of tokens that are as frequent the first in the alphabet.
    tokens = sorted(counts, key=lambda token: (-counts[token], token))
    return {token: i for i, token in enumerate(tokens[: VOCABULARY - 2], start=2)}


def encode(texts, numbers, length):
    """Returns int32 `[len(texts), length]`; longer texts lose their end."""
    rows = np.full((len(texts), length), PADDING, np.int32)
    for row, text in zip(rows, texts, strict=True):
        text = text[:length]
        row[: len(text)] = [numbers.get(token, UNKNOWN) for token in text]
    return rows
