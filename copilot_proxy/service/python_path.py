"""Finds a path to Python with which a service runs the newest version after an upgrade.

mise and Homebrew install each version of a program into a separate folder, so a service would keep
running the version that it was installed with. Both also have a link to the newest version.
"""

from pathlib import Path
from typing import Final

_LATEST: Final = "latest"
"""mise's link, next to the versions' folders."""
_CELLAR: Final = "Cellar"
"""Homebrew's folder for programs; its links are next to it, in ``opt``."""


def stable_path(executable: str) -> str:
    """Return the path of `executable` through the link to the newest version.

    Returns `executable` itself if no such link leads to it.
    """
    path = Path(executable)
    for version in path.parents:
        program = version.parent
        link = program / _LATEST
        if program.parent.name == _CELLAR:
            link = program.parent.parent / "opt" / program.name
        if version != link and link.is_symlink() and link.resolve() == version.resolve():
            return str(link / path.relative_to(version))
    return executable
