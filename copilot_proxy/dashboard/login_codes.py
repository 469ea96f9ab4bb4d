"""One-time codes with which ``copilot-proxy dashboard`` signs a browser in.

A code is a file in the state folder, which only the user can write: only the user who runs the
server can have made it. The file's name is a digest of the code. Removing the file redeems it, so
that it works once, whatever the number of processes.
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
"""How long a code is valid: a browser may have to start first."""


def make_code(state_dir: Path) -> str:
    """Return a new code; raises `OSError`."""
    folder = state_dir / _FOLDER
    make_folder(folder)
    for old in folder.iterdir():
        if not _is_valid(old):
            old.unlink(missing_ok=True)
    code = secrets.token_urlsafe(32)
    os.close(open_private(folder / _name(code), NEW))
    return code


def redeem(state_dir: Path, code: str) -> bool:
    """Return whether `code` is valid; from then on it is not."""
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
