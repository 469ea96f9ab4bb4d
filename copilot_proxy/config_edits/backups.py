"""Backups of files that are about to be changed: one folder with the most recent backups of each
file."""

import glob
import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Final

from copilot_proxy.private_files import NEW, open_private

_MAX_BACKUPS: Final = 5
"""The number of backups per file, besides the one from before the first change."""


def save_backup(folder: Path, path: Path, content: bytes) -> str:
    """Write a backup of the file `path`, and return its name.

    If the last backup has the same `content`, its name is returned instead. Raises `OSError`.
    """
    backups = _backups(folder, path)
    if backups and backups[-1].read_bytes() == content:
        return backups[-1].name
    # Keep names in order, even for backups in the same second or if the clock is set back.
    last, _, number = backups[-1].suffix[1:].partition("-") if backups else ("", "", "")
    now = max(time.strftime("%Y%m%dT%H%M%S", time.gmtime()), last)
    name = f"{_safe(path)}.{now}-{int(number) + 1 if now == last else 0:03}"
    with os.fdopen(open_private(folder / name, NEW), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name


def remove_old_backups(folder: Path, path: Path, used: Collection[str | None]) -> None:
    """Remove old backups of the file `path`, except the latest ones and those in `used`."""
    for backup in _backups(folder, path)[:-_MAX_BACKUPS]:
        if backup.name not in used:
            backup.unlink(missing_ok=True)


def _backups(folder: Path, path: Path) -> list[Path]:
    return sorted(folder.glob(f"{glob.escape(_safe(path))}.*T*-???"))


def _safe(path: PurePath) -> str:
    """Return the prefix that the names of all backups of `path` share.

    It contains a digest of the path, because files in different folders may have the same name.
    """
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{path.name}.{digest}"
