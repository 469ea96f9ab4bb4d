"""Checks the files and folders: whether they are writable, and readable only by the user."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, broken, off, ok, warning
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.private_files import APPEND, failure_reason, is_open_to_others, open_private

_PROBE: Final = b"copilot-proxy" * 400
"""Test data as large as the minimum space that a ledger row needs, including SQLite's log."""
_LOW_SPACE: Final = 100 * 1024 * 1024
_OWN_NAMES: Final = ("copilot-proxy",)
"""Names of folders that belong to this program alone."""


def check_folders(context: CheckContext) -> Iterator[Result]:
    """Check whether the folders are writable and have space left."""
    settings = context.settings
    uses = {
        settings.state_dir: "the ledger and the budget",
        settings.data_dir: "the token",
    }
    is_writable = True
    for folder, use in uses.items():
        nearest = existing(folder)
        reason = unwritable(nearest)
        if reason is not None:
            is_writable = False
            yield broken(
                f"{folder}, used for {use}, cannot be written to: {reason}.",
                _remedy(folder, nearest, reason),
            )
        elif folder.is_dir() and is_open_to_others(folder) and folder.name in _OWN_NAMES:
            what, remedy = f"Other users can access {folder}.", f"Run: chmod 700 {folder}"
            yield warning(what, remedy, _make_private(folder))
    free = _free(existing(settings.state_dir))
    if is_writable and free is not None and free < _LOW_SPACE:
        yield warning(
            f"Only {free // 1024 // 1024} MB is free on the disk with {settings.state_dir}. If the "
            "disk fills up, requests will still be answered, but not recorded.",
            "Free some space on that disk.",
        )
    yield ok(" and ".join(dict.fromkeys(map(str, uses))))


def check_privacy(context: CheckContext) -> Iterator[Result]:
    """Check whether other users can read private files."""
    for path, mode in context.open_files.items():
        what = f"Other users could read {path} (mode {mode:04o})."
        if path != context.token_file:
            yield warning(what, f"Run: chmod 600 {path}", _make_private(path))
            continue
        with suppress(CopilotProxyError):
            context.account()  # reads the file, which makes it private
        yield warning(
            f"{what} It contains your GitHub token and is now private.",
            "If others use this machine, replace the token: copilot-proxy login",
        )
    yield ok("only you can read them")


def check_log_file(context: CheckContext) -> Iterator[Result]:
    """Check whether the log file is writable."""
    path = context.settings.log_file
    if path is None:
        yield off("stderr only")
        return
    try:
        if os.path.lexists(path):
            os.close(open_private(path, APPEND))
            reason = None
        else:
            reason = unwritable(existing(path.parent))
    except OSError as error:
        reason = failure_reason(error)
    if reason is None:
        yield ok(str(path))
        return
    yield broken(
        f"The log file {path} cannot be written: {reason}. The server will not start.",
        f"Change {context.settings.place_of('log_file')}, or remove it.",
    )


def existing(folder: Path) -> Path:
    """Return `folder` if it exists, otherwise its nearest existing parent."""
    while not os.path.lexists(folder) and folder.parent != folder:
        folder = folder.parent
    return folder


def unwritable(folder: Path) -> str | None:
    """Return why no file can be written in `folder`, or None if writing a test file succeeds."""
    if not folder.is_dir():
        return f"{folder} is not a folder"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".copilot-proxy-") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return failure_reason(error)
    return None


def _remedy(folder: Path, nearest: Path, reason: str) -> str:
    if "space" in reason or "quota" in reason.lower() or "too large" in reason:
        return "Free some space on that disk."
    # A system account's home folder may not exist, and / must not be made writable.
    is_root = nearest.parent == nearest
    what = f"Create {folder}" if is_root else f"Make {nearest} a writable folder"
    return f"{what}, or choose another one with COPILOT_PROXY_HOME_DIR."


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _make_private(path: Path) -> Callable[[], str]:
    def fix() -> str:
        path.chmod(0o700 if path.is_dir() else 0o600)
        return f"Now only you can read {path}."

    return fix
