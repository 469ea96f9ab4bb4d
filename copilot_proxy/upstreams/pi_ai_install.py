"""Puts the pinned pi-ai into the data folder, by way of npm.

The package itself is checked against a checksum that comes with this program; those that it needs
against the ones that the registry tells npm. No script of any of them is run. All of it is made in
a folder of its own, which takes the place of the old one at the end, or not at all.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask
from copilot_proxy.upstreams.pi_ai_package import PACKAGE, installed, manifest, version

_FLAGS: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--no-update-notifier",
    "--loglevel=error",
)
_PATIENCE: Final = 900
"""Seconds that npm may take."""
_MOST_WORDS: Final = 400
_OFFLINE: Final = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "ERR_SOCKET_TIMEOUT",
    "FETCH_ERROR",
)
_FULL: Final = ("ENOSPC", "EDQUOT")


class Installer:
    """Installs into `folder`; `tell` gets a line for each step."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._npm = shutil.which("npm")

    def run(self, *, force: bool) -> bool:
        """Whether something was installed; raises `CopilotProxyError` with what to do."""
        if not force and installed(self._folder) == version():
            return False
        if self._npm is None:
            raise CopilotProxyError(
                "npm is not on the PATH.",
                hint="It comes with Node; some systems have it in a package of its own.",
            )
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="pi-ai.", dir=self._folder.parent))
        try:
            self._make(made)
            self._swap(made)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return True

    def _make(self, folder: Path) -> None:
        shipped = json.loads(manifest())
        self._tell(f"Fetching {PACKAGE} {version()} ...")
        self._run_npm(folder, "pack", f"{PACKAGE}@{version()}")
        archive = next(folder.glob("*.tgz"), None)
        if archive is None or _checksum(archive) != shipped["integrity"]:
            raise CopilotProxyError(
                f"What npm fetched is not the {PACKAGE} {version()} that this program knows.",
                hint="Nothing was installed. Ask whoever runs the registry that npm is set to.",
            )
        # The archive that was checked is what gets installed.
        shipped["dependencies"][PACKAGE] = f"file:{archive.name}"
        (folder / "package.json").write_text(json.dumps(shipped), encoding="utf-8")
        self._tell("Installing what it needs; this may take a minute ...")
        self._run_npm(folder, "install", "--omit=dev")
        archive.unlink()
        if installed(folder) != version():
            raise CopilotProxyError("npm installed something else.", hint="Try it again.")

    def _swap(self, made: Path) -> None:
        """Puts the new folder in the place of the old one."""
        old = made.with_name(f"{made.name}.old")
        if self._folder.exists():
            os.replace(self._folder, old)
        try:
            os.replace(made, self._folder)
        except OSError:
            if old.exists():
                os.replace(old, self._folder)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)

    def _run_npm(self, folder: Path, *arguments: str) -> None:
        command: Sequence[str] = (str(self._npm), *arguments, *_FLAGS)
        try:
            ran = subprocess.run(  # noqa: S603  # npm, with arguments of our own
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired:
            raise CopilotProxyError("npm took too long.", hint="Check the network.") from None
        if ran.returncode:
            raise _failure(f"{ran.stderr}\n{ran.stdout}")


def _failure(words: str) -> CopilotProxyError:
    if any(code in words for code in _FULL):
        return CopilotProxyError("The disk is full.", hint="About 250 MB are needed.")
    if any(code in words for code in _OFFLINE):
        return CopilotProxyError(
            "npm cannot reach its registry.",
            hint="Check the network. Behind a company proxy: npm config set proxy ...",
        )
    said = " ".join(words.split())[:_MOST_WORDS]
    return CopilotProxyError(f"npm failed: {mask(said)}", hint="Nothing was installed.")


def _checksum(archive: Path) -> str:
    """As registries write it."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def _environment() -> dict[str, str]:
    """Ours, without what is set for this program: npm has no use for a token of GitHub's."""
    return {name: v for name, v in os.environ.items() if not name.startswith("COPILOT_PROXY_")}
