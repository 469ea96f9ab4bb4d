"""Spares the start of a program what it has no use for."""

import sys

from copilot_proxy.server.gc_tuning import collect_rarely_while_loading


def hasten() -> None:
    """To be called once, before anything heavy is imported."""
    collect_rarely_while_loading()
    # httpx has a command line of its own, which loads click, rich and pygments; httpx does without
    # it where it cannot be imported.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
