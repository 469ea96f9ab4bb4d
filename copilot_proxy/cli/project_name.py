"""Finds the name of the project that the ledger records for the requests of ``run``."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from copilot_proxy.attribution import MAX_NAME_LENGTH
from copilot_proxy.errors import UsageError
from copilot_proxy.masking import mask

_DOTS: Final = (".", "..")
"""Names with a special meaning in a URL's path."""


def base_path(client: str, project: str, session: str) -> str:
    """Return the prefix of all URL paths. It names the client, the session and, if `project` is not
    "", the project."""
    part = f"/p/{quote(project, safe='')}" if project else ""
    return f"/c/{client}{part}/s/{session}"


def checked_project(name: str) -> str:
    """Return the project's name as given by the user, or "" for none. Raises `UsageError`."""
    project = name.strip()
    if project in _DOTS or len(project) > MAX_NAME_LENGTH or not project.isprintable():
        raise UsageError(
            f"{name!r} cannot be the name of a project.",
            hint=f"Use at most {MAX_NAME_LENGTH} printable characters.",
        )
    return project


def current_project() -> str:
    """Return the name of the current folder's project, or "" if there is none.

    The project is the folder of the Git repository if there is one, otherwise the current folder.
    The home folder and the root are not projects.
    """
    try:
        folder, home = Path.cwd().resolve(), Path.home().resolve()
    except (OSError, RuntimeError):  # the folder was removed, or there is no home folder
        return ""
    outside = {home, *home.parents}
    above = (one for one in (folder, *folder.parents) if one not in outside)
    # Path.exists would raise an error for a folder that the user has no access to.
    found = next((one for one in above if os.path.exists(one / ".git")), folder)
    return "" if found in outside else _as_name(found.name)


def _as_name(folder: str) -> str:
    """Return a folder's name without characters that the ledger or a log cannot show."""
    printable = "".join(char for char in folder if char.isprintable()).strip()
    name = mask(printable)[:MAX_NAME_LENGTH].strip()
    return "" if name in _DOTS else name
