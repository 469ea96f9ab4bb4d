"""One-time codes with which ``copilot-proxy dashboard`` signs a browser in.

Each code has a file in the state folder, named after a digest of the code. Only the user who runs
the server can write there, so nobody else can create a code. Redeeming a code removes the file, so
the code works only once, even with several processes.
"""

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

from copilot_proxy.private_files import NEW, make_folder, open_private

_FOLDER: Final = "dashboard-codes"
_SECONDS: Final = 120
"""Seconds for which a code is valid: enough for a browser to start."""


def make_code(state_dir: Path) -> str:
    """Create and return a new code. Raises `OSError`."""
    folder = state_dir / _FOLDER
    make_folder(folder)
    for old in folder.iterdir():
        if not _is_valid(old):
            old.unlink(missing_ok=True)
    code = secrets.token_urlsafe(32)
    os.close(open_private(folder / _name(code), NEW))
    return code


def redeem(state_dir: Path, code: str) -> bool:
    """Return whether `code` is valid, and invalidate it."""
    path = state_dir / _FOLDER / _name(code)
    try:
        is_valid = _is_valid(path)
        path.unlink()
    except OSError:
        return False
    return is_valid


def _is_valid(path: Path) -> bool:
    try:
        return 0 <= time.time() - path.stat().st_mtime + 1 <= _SECONDS + 1
    except OSError:
        return False


def _name(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
