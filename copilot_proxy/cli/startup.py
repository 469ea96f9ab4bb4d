"""Makes the program start faster."""

import sys

from copilot_proxy.server.gc_tuning import tune_gc_for_startup


def speed_up_startup() -> None:
    """Avoid needless work during startup; call it once, before any heavy import."""
    tune_gc_for_startup()
    # httpx imports its own command line, which loads click, rich and pygments; it works without
    # the command line if that cannot be imported.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
