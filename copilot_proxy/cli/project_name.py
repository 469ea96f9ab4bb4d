"""Finds the name under which the ledger records the requests of ``run``: the name of the project's
folder."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from copilot_proxy.attribution import MAX_NAME_LENGTH
from copilot_proxy.errors import UsageError
from copilot_proxy.masking import mask

_DOTS: Final = (".", "..")
"""Names that clients would resolve as parts of the URL's path."""


def base_path(client: str, project: str, session: str) -> str:
    """Return the start of all paths, which names the client, the project if any, and the
    session."""
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

    This is the folder of the Git repository, or else the current folder itself. The home folder and
    the root are not projects.
    """
    try:
        folder, home = Path.cwd().resolve(), Path.home().resolve()
    except (OSError, RuntimeError):  # the folder was removed, or there is no home folder
        return ""
    above = (folder, *folder.parents)
    outside = {home, *home.parents}
    found = next((one for one in above if one not in outside and (one / ".git").exists()), folder)
    return "" if found in outside else _as_name(found.name)


def _as_name(folder: str) -> str:
    """Return the name of a folder, without what the ledger or a log cannot show."""
    printable = "".join(char for char in folder if char.isprintable()).strip()
    name = mask(printable)[:MAX_NAME_LENGTH].strip()
    return "" if name in _DOTS else name
