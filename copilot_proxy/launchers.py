"""Detects the tools that run a copy of this program without installing it: pipx run and uvx."""

import sys
from pathlib import PurePath
from typing import Final

_CACHES: Final = (".cache", "Caches", "Cache")
_DISTRIBUTION: Final = "g-copilot-proxy"


def launcher(executable: str = sys.executable) -> str | None:
    """Return the command that the user ran, such as ``pipx run g-copilot-proxy``.

    Returns None if the program is installed. Otherwise, the program runs from a launcher's cache,
    which keeps it for a few days.
    """
    parts = PurePath(executable).parts
    if "pipx" in parts and any(name in parts for name in _CACHES):
        return f"pipx run {_DISTRIBUTION}"
    if "uv" in parts and any(name.startswith("archive-v") for name in parts):
        return f"uvx {_DISTRIBUTION}"
    return None
