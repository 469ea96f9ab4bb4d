"""Tells the user about a newer version, at most once a day, and only on a terminal.

A separate process runs pip, which uses the package index, proxy and certificates that the user has
configured for it. No command waits for the result; the next command shows it.
"""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Final

from copilot_proxy import __version__
from copilot_proxy.cli.console import is_interactive, print_message
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.file_locks import locked
from copilot_proxy.launchers import launcher
from copilot_proxy.private_files import make_folder, replace_private
from copilot_proxy.settings import load_settings, state_dir

DISTRIBUTION: Final = "g-copilot-proxy"
_DAY: Final = 24 * 3600.0
_TIMEOUT: Final = 60.0
_FILE: Final = "update.json"
_COMMANDS: Final = ("login", "logout", "status", "chat", "models", "usage", "budget", "doctor")
"""The commands after which a notice may be shown. None of them starts a server or a client."""
_RELEASE: Final = re.compile(r"\d+(?:\.\d+)*")
_FOUND: Final = re.compile(rf"^{DISTRIBUTION} \((\S+)\)$", re.MULTILINE)


def show_update(command: str) -> None:
    """After `command`, show a notice and check for a new version, each only if it is due."""
    if command not in _COMMANDS or not is_interactive() or "CI" in os.environ:
        return
    try:
        settings = load_settings()
    except CopilotProxyError:
        return  # the command has already reported the error
    if not settings.update_check or not _is_released():
        return
    file = state_dir(settings.home_dir) / _FILE
    seen, now = _read(file), time.time()
    if _is_newer(seen.get("latest")) and now - seen.get("shown", 0.0) > _DAY:
        _change(file, shown=now)
        print_message(
            f"\nVersion {seen['latest']} of {DISTRIBUTION} is available; this is {__version__}. "
            f"Upgrade with: {_upgrade_command()}"
        )
    if now - seen.get("checked", 0.0) > _DAY:
        _change(file, checked=now)
        _start(file)


def main() -> None:
    """Get the newest version from pip, and write it to the file named in the arguments."""
    file = Path(sys.argv[1])
    latest = latest_version()
    if latest is not None:
        _change(file, latest=latest)


def latest_version() -> str | None:
    """Return the newest version that pip finds, if any."""
    command = [sys.executable, "-m", "pip", "index", "versions", DISTRIBUTION]
    flags = ["--disable-pip-version-check", "--no-input", "--retries", "0"]
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are fixed
            [*command, *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _FOUND.search(done.stdout) if done.returncode == 0 else None
    return found[1] if found else None


def _is_released() -> bool:
    """Return whether this copy was installed from an index, rather than run by pipx run or uvx."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        source = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return False
    return source is None and launcher() is None


def _is_newer(version: object) -> bool:
    if not isinstance(version, str) or not _RELEASE.fullmatch(version):
        return False
    return _numbers(version) > _numbers(__version__)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _upgrade_command() -> str:
    parts = PurePath(sys.prefix).parts
    if "pipx" in parts:
        return f"pipx upgrade {DISTRIBUTION}"
    if "uv" in parts and "tools" in parts:
        return f"uv tool upgrade {DISTRIBUTION}"
    return f"{sys.executable} -m pip install --upgrade {DISTRIBUTION}"


def _start(file: Path) -> None:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with suppress(OSError):
        process = subprocess.Popen(  # noqa: S603  # it runs this module
            [sys.executable, "-P", "-m", __name__, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            creationflags=flags,
        )
        process.returncode = 0  # avoids Python's warning about a process that outlives this one


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_usable = isinstance(found, dict) and all(
        isinstance(found.get(name, 0.0), int | float) for name in ("checked", "shown")
    )
    return found if is_usable else {}


def _change(file: Path, **values: float | str) -> None:
    """Change values in the file, which other processes may change at the same time."""
    with suppress(OSError):  # if this fails, the next command tries again
        make_folder(file.parent)
        with locked(file.with_suffix(".lock")):
            replace_private(file, json.dumps({**_read(file), **values}).encode())


if __name__ == "__main__":
    main()
