"""Texts as rows of token numbers, all of one length."""

import collections
import html
import re

import numpy as np

from keras_asgld.data.source import Examples

# What networks of text make room for. The first two are no tokens.
VOCABULARY = 2048
PADDING, UNKNOWN = 0, 1


def words(text):
    """The words of a text in small letters, without HTML's tags and entities."""
    text = re.sub("</?[a-z][^<>]*>", " ", html.unescape(text), flags=re.IGNORECASE)
    return re.findall(r"[^\W\d_]+", text.lower())


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
    """Returns int32 `[texts, length]`; longer texts lose their end."""
    # The numbers of a long corpus take a tenth of the memory of its tokens.
    known = [[numbers.get(token, UNKNOWN) for token in text[:length]] for text in texts]
    rows = np.full((len(known), length), PADDING, np.int32)
    for row, text in zip(rows, known, strict=True):
        row[: len(text)] = text
    return rows


def examples(train, test, length):
    """Training and test `Examples` of texts, numbered by the training texts alone.

    Args:
        train, test: Texts, bytes `[n]` of UTF-8, and their classes `[n]`.
        length: Positive integer, tokens in a row.
    """
    numbers = vocabulary(words(text.decode()) for text in train[0])
    # A row that is all padding has no mean: what holds no word holds an unknown one.
    return tuple(
        Examples(
            encode((words(text.decode()) or [""] for text in texts), numbers, length),
            labels.astype(np.int32),
        )
        for texts, labels in (train, test)
    )
