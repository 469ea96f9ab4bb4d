"""Installs the pinned version of pi-ai into the data folder, with npm.

The package is verified against a checksum that is part of this program, and its dependencies
against the registry's checksums. Everything is installed and tested in a temporary folder, which
replaces the old folder only if both succeed.
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
from copilot_proxy.upstreams.pi_ai.npm import Npm, npm_environment
from copilot_proxy.upstreams.pi_ai.package import (
    PACKAGE,
    can_load,
    certificate_file,
    installed,
    manifest,
    version,
)

_REQUIRED_SPACE: Final = 200 * 1000**2
"""Bytes that must be free in the data folder."""
_MAX_AGE: Final = 3600
"""Age in seconds after which a temporary folder must belong to a killed installation, because npm
is killed long before that."""


class Installer:
    """Installs pi-ai into `folder`, for the Node at `node`; `report` is called with each step."""

    def __init__(self, folder: Path, node: str, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._node = node
        self._report = report

    def run(self, *, force: bool) -> bool:
        """Install the pinned pi-ai. Unless `force` is true, a usable installation of it is kept.

        Returns whether anything was installed. Raises `CopilotProxyError`.
        """
        if not force and installed(self._folder) == version():
            if can_load(self._node, self._folder):
                return False
            self._report("pi-ai is installed, but some of its files are missing or damaged.")
        npm = Npm(npm_environment(os.environ, certificate_file(os.environ)))
        temporary = self._temporary_folder()
        try:
            self._install(npm, temporary)
            with uninterrupted():
                self._replace(temporary)
        except OSError as error:
            raise _write_error(Path(error.filename or self._folder), error) from None
        finally:
            with uninterrupted():
                _remove(temporary)
                _remove(_backup(temporary))
        return True

    def _temporary_folder(self) -> Path:
        """Create an empty folder next to the target, if the disk has enough space."""
        parent = self._folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            temporary = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}.", dir=parent))
        except OSError as error:
            raise _write_error(parent, error) from None
        free = shutil.disk_usage(parent).free
        if free < _REQUIRED_SPACE:
            _remove(temporary)
            raise CopilotProxyError(
                f"Only {free // 1000**2} MB is free on the disk that holds {parent}.",
                hint=f"Free at least {_REQUIRED_SPACE // 1000**2} MB.",
            )
        return temporary

    def _install(self, npm: Npm, folder: Path) -> None:
        shipped = json.loads(manifest())
        # Without a package.json here, npm would use one from a parent folder.
        package_file = folder / "package.json"
        package_file.write_text(json.dumps({"private": True}), encoding="utf-8")
        self._report(f"Fetching {PACKAGE} {version()} ...")
        npm.run(folder, "pack", f"{PACKAGE}@{version()}")
        archive = next(folder.glob("*.tgz"), None)
        if archive is None or _checksum(archive) != shipped["integrity"]:
            raise CopilotProxyError(
                f"The checksum of {PACKAGE} {version()} from npm is wrong.",
                hint="Nothing was installed. Contact the administrator of your npm registry.",
            )
        # Install the archive that was verified.
        shipped["dependencies"][PACKAGE] = f"file:{archive.name}"
        package_file.write_text(json.dumps(shipped), encoding="utf-8")
        self._report("Installing its dependencies, about 115 MB; this may take a minute ...")
        npm.run(folder, "install", "--omit=dev")
        archive.unlink()
        if installed(folder) != version() or not can_load(self._node, folder):
            raise CopilotProxyError(
                "pi-ai cannot be loaded after its installation.",
                hint="Nothing was changed. Clear npm's cache and try again: npm cache clean "
                "--force",
            )

    def _replace(self, temporary: Path) -> None:
        """Move the temporary folder to the target; on failure, restore the old folder."""
        backup = _backup(temporary)
        with suppress(FileNotFoundError):
            os.replace(self._folder, backup)
        try:
            os.replace(temporary, self._folder)
        except OSError:
            if os.path.lexists(backup) and not os.path.lexists(self._folder):
                os.replace(backup, self._folder)
                raise
            # Another installation may have finished first, with the same result.
            if installed(self._folder) != version():
                raise

    def _remove_leftovers(self) -> None:
        """Remove the temporary folders of installations that were killed."""
        oldest = time.time() - _MAX_AGE
        for path in self._folder.parent.glob(f"{self._folder.name}.*"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    _remove(path)


def _write_error(path: Path, error: OSError) -> CopilotProxyError:
    return CopilotProxyError(
        f"{path} cannot be written: {error.strerror or type(error).__name__}.",
        hint="Stop servers that use pi-ai, or use another folder with COPILOT_PROXY_HOME_DIR.",
    )


def _backup(temporary: Path) -> Path:
    """Return the path where the old folder is kept while it is replaced."""
    return temporary.with_name(f"{temporary.name}.old")


def _remove(path: Path) -> None:
    """Remove a folder with its contents, or a file; ignore errors."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _checksum(archive: Path) -> str:
    """Return the checksum in the format of npm registries (Subresource Integrity)."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"
