"""Finds Node and the installed pi-ai package, and builds the command that starts the sidecar."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.settings import Settings
from copilot_proxy.upstreams.pi_ai.sidecar_process import SidecarCommand

PACKAGE: Final = "@earendil-works/pi-ai"
_OLD_PACKAGE: Final = "@mariozechner/pi-ai"
"""The package's name before version 0.74, used by older versions of this program."""
MIN_NODE_VERSION: Final = "22.19.0"
"""The oldest version of Node that pi-ai and its libraries support."""
INSTALL: Final = "Install it with: copilot-proxy pi-ai install"
_NODE_HINT: Final = (
    f"Install Node {MIN_NODE_VERSION} or newer, from https://nodejs.org for example."
)
_MAX_VERSION: Final = 40
_MIN_TIMEOUT_MS: Final = 1
_LOAD_TIMEOUT: Final = 60
"""Maximum seconds for the sidecar to load its packages."""
_PASSED_VARIABLES: Final = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE"
    r"|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)",
    re.IGNORECASE,
)
"""The environment variables passed to the sidecar, which include no settings or tokens."""


def manifest() -> str:
    """Return the package.json with the exact versions to install."""
    return (files("copilot_proxy.upstreams") / "pi_ai_package.json").read_text(encoding="utf-8")


def version() -> str:
    """Return the pinned version of pi-ai."""
    pinned: str = json.loads(manifest())["dependencies"][PACKAGE]
    return pinned


def folder_of(settings: Settings) -> Path:
    """Return the folder where pi-ai is installed."""
    return settings.shared_data_dir / "pi-ai"


def installed(folder: Path) -> str | None:
    """Return the version installed in `folder`, or None."""
    return _installed(folder, PACKAGE) or _installed(folder, _OLD_PACKAGE)


def _installed(folder: Path, package: str) -> str | None:
    try:
        data = json.loads((folder / "node_modules" / package / "package.json").read_bytes())
    except (OSError, ValueError):
        return None
    value = data.get("version") if isinstance(data, dict) else None
    return value if isinstance(value, str) else None


def find_node() -> str:
    """Return the path of Node. Raises `CopilotProxyError` if it is missing or too old."""
    node = shutil.which("node")
    if node is None:
        raise _missing("pi-ai needs Node, which is not on the PATH.", _NODE_HINT)
    try:
        output = subprocess.run(  # noqa: S603  # a program that the user has installed
            [node, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        raise _missing(f"{node} cannot be run.", _NODE_HINT) from None
    if _numbers(output.removeprefix("v")) < _numbers(MIN_NODE_VERSION):
        raise _missing(
            f"pi-ai needs Node {MIN_NODE_VERSION} or newer, but {node} is {output[:_MAX_VERSION]}.",
            _NODE_HINT,
        )
    return node


def command_for(settings: Settings) -> SidecarCommand:
    """Return the command that starts the sidecar.

    Raises `CopilotProxyError` if Node or pi-ai is missing or has the wrong version.
    """
    node, folder = find_node(), folder_of(settings)
    current, required = installed(folder), version()
    if current is None:
        raise _missing("pi-ai is not installed.", INSTALL)
    if current != required:
        raise _missing(f"pi-ai {current} is installed, but {required} is required.", INSTALL)
    return SidecarCommand(
        arguments=_arguments(node, folder, settings.connect_timeout, settings.read_timeout),
        environ=sidecar_environment(os.environ),
        repair_hint=INSTALL,
    )


def can_load(node: str, folder: Path) -> bool:
    """Return whether the sidecar can load its packages from `folder`. Takes up to a second."""
    try:
        process = subprocess.run(  # noqa: S603  # the sidecar itself, without any requests
            _arguments(node, folder, 1, 1),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LOAD_TIMEOUT,
            check=False,
            env=sidecar_environment(os.environ),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return process.returncode == 0


def _missing(message: str, hint: str) -> CopilotProxyError:
    """Return an error to show to the user at startup, or to send to a client later."""
    return CopilotProxyError(
        message, hint=hint, code="server_misconfigured", headers={"x-should-retry": "false"}
    )


def _arguments(node: str, folder: Path, connect_timeout: float, read_timeout: float) -> list[str]:
    sidecar = files("copilot_proxy.upstreams.pi_ai") / "sidecar.mjs"
    timeouts = _milliseconds(connect_timeout), _milliseconds(read_timeout)
    return [node, str(sidecar), str(folder), *timeouts]


def sidecar_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the sidecar, a subset of `environ`."""
    passed = {name: value for name, value in environ.items() if _PASSED_VARIABLES.fullmatch(name)}
    if file := certificate_file(passed):
        # Node trusts the authorities in this file in addition to its own.
        passed["NODE_EXTRA_CA_CERTS"] = file
    return passed


def certificate_file(environ: Mapping[str, str]) -> str | None:
    """Return the file of certificate authorities that `environ` names, or else the system's."""
    return environ.get("SSL_CERT_FILE") or environ.get("NODE_EXTRA_CA_CERTS") or _system_store()


def _numbers(version: str) -> tuple[int, ...]:
    """Return the parts of a version for comparison, or () if it is not a version."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, match.groups())) if match else ()


def _system_store() -> str | None:
    if sys.platform != "linux":
        return None
    from copilot_proxy.network.certificates import CERTIFICATE_FILES

    return next((path for path in CERTIFICATE_FILES if os.path.isfile(path)), None)


def _milliseconds(seconds: float) -> str:
    return str(max(_MIN_TIMEOUT_MS, round(seconds * 1000)))
