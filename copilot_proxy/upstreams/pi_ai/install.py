"""Puts the pinned pi-ai into the data folder, by way of npm.

The package itself is checked against a checksum that comes with this program; those that it needs
against the ones that the registry tells npm. All of it is made in a folder of its own, tried there,
and takes the place of the old one at the end, or not at all.
"""

import base64
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.upstreams.pi_ai.interrupts import uninterrupted
from copilot_proxy.upstreams.pi_ai.npm import Npm, environment
from copilot_proxy.upstreams.pi_ai.package import (
    PACKAGE,
    authorities,
    installed,
    loads,
    manifest,
    version,
)

_ROOM: Final = 200 * 1000**2
"""Bytes that have to be free in the data folder."""
_ABANDONED: Final = 3600
"""Seconds after which a folder of an installation that did not end is nobody's: longer than npm is
waited for."""


class Installer:
    """Installs into `folder` what the Node at `node` will run; `tell` gets a line for each step."""

    def __init__(self, folder: Path, node: str, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._node = node
        self._tell = tell

    def run(self, *, force: bool) -> bool:
        """Whether something was installed; raises `CopilotProxyError` with what to do."""
        if not force and installed(self._folder) == version():
            if loads(self._node, self._folder):
                return False
            self._tell("pi-ai is there, but files of it are missing or damaged.")
        npm = Npm(environment(os.environ, authorities(os.environ)))
        made = self._new_folder()
        try:
            self._make(npm, made)
            with uninterrupted():
                self._swap(made)
        except OSError as error:
            raise _unwritable(Path(error.filename or self._folder), error) from None
        finally:
            with uninterrupted():
                _remove(made)
                _remove(_aside(made))
        return True

    def _new_folder(self) -> Path:
        """An empty one beside the folder, where there is room for it."""
        parent = self._folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self._clear_up()
            made = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}.", dir=parent))
        except OSError as error:
            raise _unwritable(parent, error) from None
        free = shutil.disk_usage(parent).free
        if free < _ROOM:
            _remove(made)
            raise CopilotProxyError(
                f"There is too little room on the disk of {parent}: {free // 1000**2} MB.",
                hint=f"{_ROOM // 1000**2} MB are needed.",
            )
        return made

    def _make(self, npm: Npm, folder: Path) -> None:
        shipped = json.loads(manifest())
        # npm takes a folder with this file for where it is; otherwise it would look further up.
        described = folder / "package.json"
        described.write_text(json.dumps({"private": True}), encoding="utf-8")
        self._tell(f"Fetching {PACKAGE} {version()} ...")
        npm.run(folder, "pack", f"{PACKAGE}@{version()}")
        archive = next(folder.glob("*.tgz"), None)
        if archive is None or _checksum(archive) != shipped["integrity"]:
            raise CopilotProxyError(
                f"What npm fetched is not the {PACKAGE} {version()} that this program knows.",
                hint="Nothing was installed. Ask whoever runs the registry that npm is set to.",
            )
        # The archive that was checked is what gets installed.
        shipped["dependencies"][PACKAGE] = f"file:{archive.name}"
        described.write_text(json.dumps(shipped), encoding="utf-8")
        self._tell("Installing what it needs, about 140 MB; this may take a minute ...")
        npm.run(folder, "install", "--omit=dev")
        archive.unlink()
        if installed(folder) != version() or not loads(self._node, folder):
            raise CopilotProxyError(
                "What npm installed cannot be loaded.",
                hint="Nothing was changed. Empty npm's cache and try again: npm cache clean "
                "--force",
            )

    def _swap(self, made: Path) -> None:
        """Puts the new folder in the place of the old one, which goes or comes back."""
        old = _aside(made)
        with suppress(FileNotFoundError):
            os.replace(self._folder, old)
        try:
            os.replace(made, self._folder)
        except OSError:
            if os.path.lexists(old) and not os.path.lexists(self._folder):
                os.replace(old, self._folder)
                raise
            # Another installation was quicker: what it put there is as good.
            if installed(self._folder) != version():
                raise

    def _clear_up(self) -> None:
        """Removes what installations left that were killed."""
        long_ago = time.time() - _ABANDONED
        for path in self._folder.parent.glob(f"{self._folder.name}.*"):
            with suppress(OSError):
                if path.stat().st_mtime < long_ago:
                    _remove(path)


def _unwritable(where: Path, error: OSError) -> CopilotProxyError:
    return CopilotProxyError(
        f"{where} cannot be written: {error.strerror or type(error).__name__}.",
        hint="Servers that use pi-ai may have to be stopped; COPILOT_PROXY_HOME_DIR names another "
        "folder.",
    )


def _aside(made: Path) -> Path:
    """Where the old folder is while the new one takes its place."""
    return made.with_name(f"{made.name}.old")


def _remove(path: Path) -> None:
    """A folder with all that is in it, or a file; nothing if that cannot be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _checksum(archive: Path) -> str:
    """As registries write it."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"
