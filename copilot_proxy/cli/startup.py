"""Makes the program start faster."""

import sys
from types import ModuleType

from copilot_proxy.server.gc_tuning import tune_gc_for_startup


def speed_up_startup() -> None:
    """Avoid needless work during startup; call it once, before any heavy import."""
    tune_gc_for_startup()
    # httpx imports its own command line, which loads click, rich and pygments; it works without
    # the command line if that cannot be imported.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    # uvicorn does the same, with click and multiprocessing, but does not work without it.
    sys.modules.setdefault("uvicorn.main", _Nothing("uvicorn.main"))


class _Nothing(ModuleType):
    """A module in which everything is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):  # as Python itself looks for
            raise AttributeError(name)
