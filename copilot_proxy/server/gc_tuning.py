"""Tunes Python's collector of cycles, for a quick start and for streams.

By default each 700 objects that are alive at once start a collection, and every now and then one of
all that the program has loaded. Loading makes a hundred thousand objects and hardly any garbage,
and an event of a stream makes a handful of dictionaries that die with it: collections took a tenth
of a start, and a third of the time of fast streams.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOADING: Final = 100_000
_SERVING: Final = (20_000, 10, 10)
"""Objects that start a collection of the youngest, and how many of those start one of the older."""


def collect_rarely_while_loading() -> None:
    """For the start of a program; a short command needs no other setting to its end."""
    gc.set_threshold(_LOADING, *_SERVING[1:])


@contextmanager
def collect_rarely_while_serving() -> Iterator[None]:
    """While the block runs, what is loaded by now is never looked at, and the rest seldom."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_SERVING)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
