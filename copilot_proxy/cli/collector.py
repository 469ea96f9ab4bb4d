"""Tunes Python's collector of cycles for a server.

Every event of a stream makes a handful of dictionaries, which die with it. By default each 700 that
are alive at once start a collection, every now and then one of all that the program has loaded: a
third of the time that fast streams took.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (20_000, 10, 10)
"""Objects that start a collection of the youngest, and how many of those start one of the older."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """While the block runs, what is loaded by now is never looked at, and the rest seldom."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
