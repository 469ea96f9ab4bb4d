"""Makes the program start faster."""

import sys
from types import ModuleType

from copilot_proxy.server.gc_tuning import tune_gc_for_startup


def speed_up_startup() -> None:
    """Avoid unnecessary work during startup. Call this once, before any heavy import."""
    tune_gc_for_startup()
    # httpx imports its own command line, which loads click, rich and pygments. httpx also works if
    # that import fails, so make the import fail.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    # uvicorn also imports its command line, which loads click and multiprocessing. uvicorn does
    # not work if that import fails, so replace the module.
    sys.modules.setdefault("uvicorn.main", _Nothing("uvicorn.main"))


class _Nothing(ModuleType):
    """A module whose attributes are all None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):  # Python itself looks these up
            raise AttributeError(name)
