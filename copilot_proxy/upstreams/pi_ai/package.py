"""Where pi-ai is installed, whether it can be used, and how its process is started."""

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
from copilot_proxy.upstreams.pi_ai.sidecar_process import Command

PACKAGE: Final = "@mariozechner/pi-ai"
LEAST_NODE: Final = "20.18.1"
"""What undici needs, by which pi-ai's process makes its calls; pi-ai itself would do with less."""
INSTALL: Final = "Install it with: copilot-proxy pi-ai install"
_NODE_HINT: Final = f"Install Node {LEAST_NODE} or newer, from https://nodejs.org for example."
_LONGEST_VERSION: Final = 40
_SHORTEST_MS: Final = 1
_LOADING: Final = 60
"""Seconds that the process may take to load what it needs."""
_PASSED_ON: Final = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE"
    r"|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)",
    re.IGNORECASE,
)
"""All that the process sees of the environment: no setting of ours, and no token of anybody's."""


def manifest() -> str:
    """The package.json that says what is installed, to the exact version."""
    return (files("copilot_proxy.upstreams") / "pi_ai_package.json").read_text(encoding="utf-8")


def version() -> str:
    """The version that this program works with."""
    pinned: str = json.loads(manifest())["dependencies"][PACKAGE]
    return pinned


def folder_of(settings: Settings) -> Path:
    """Where the package is installed for good."""
    return settings.data_dir / "pi-ai"


def installed(folder: Path) -> str | None:
    """The version in `folder`, or None."""
    try:
        found = json.loads((folder / "node_modules" / PACKAGE / "package.json").read_bytes())
    except (OSError, ValueError):
        return None
    told = found.get("version") if isinstance(found, dict) else None
    return told if isinstance(told, str) else None


def find_node() -> str:
    """The path of a Node that is new enough; raises `CopilotProxyError` with what to do."""
    node = shutil.which("node")
    if node is None:
        raise _missing("pi-ai needs Node, which is not on the PATH.", _NODE_HINT)
    try:
        told = subprocess.run(  # noqa: S603  # a program of the person's own
            [node, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        raise _missing(f"{node} cannot be run.", _NODE_HINT) from None
    if _numbers(told.removeprefix("v")) < _numbers(LEAST_NODE):
        raise _missing(
            f"pi-ai needs Node {LEAST_NODE} or newer, and {node} is {told[:_LONGEST_VERSION]}.",
            _NODE_HINT,
        )
    return node


def command_for(settings: Settings) -> Command:
    """How the process is started; raises `CopilotProxyError` if it cannot be."""
    node, folder = find_node(), folder_of(settings)
    found, wanted = installed(folder), version()
    if found is None:
        raise _missing("pi-ai is not installed.", INSTALL)
    if found != wanted:
        raise _missing(f"pi-ai {found} is installed, and {wanted} is needed.", INSTALL)
    return Command(
        arguments=_arguments(node, folder, settings.connect_timeout, settings.read_timeout),
        environ=environment(os.environ),
        repair=INSTALL,
    )


def loads(node: str, folder: Path) -> bool:
    """Whether the process can load what it needs from `folder`; takes up to a second."""
    try:
        ran = subprocess.run(  # noqa: S603  # as it will be run, with nothing to do
            _arguments(node, folder, 1, 1),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LOADING,
            check=False,
            env=environment(os.environ),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ran.returncode == 0


def _missing(message: str, hint: str) -> CopilotProxyError:
    """Said to a person before anything is served, or to a client if it goes missing later."""
    return CopilotProxyError(
        message, hint=hint, code="server_misconfigured", headers={"x-should-retry": "false"}
    )


def _arguments(node: str, folder: Path, connect: float, silence: float) -> list[str]:
    sidecar = files("copilot_proxy.upstreams.pi_ai") / "sidecar.mjs"
    return [node, str(sidecar), str(folder), _milliseconds(connect), _milliseconds(silence)]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the process sees of the environment `given`."""
    seen = {name: value for name, value in given.items() if _PASSED_ON.fullmatch(name)}
    if own := authorities(seen):
        # Node brings authorities of its own, and adds these.
        seen["NODE_EXTRA_CA_CERTS"] = own
    return seen


def authorities(given: Mapping[str, str]) -> str | None:
    """The file of certificate authorities that the environment `given` names, or the system's."""
    return given.get("SSL_CERT_FILE") or given.get("NODE_EXTRA_CA_CERTS") or _system_store()


def _numbers(version: str) -> tuple[int, ...]:
    """The parts of a version, for comparison; empty if it is none."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


def _system_store() -> str | None:
    if sys.platform != "linux":
        return None
    from copilot_proxy.auth.certificates import CERTIFICATE_FILES

    return next((path for path in CERTIFICATE_FILES if os.path.isfile(path)), None)


def _milliseconds(seconds: float) -> str:
    return str(max(_SHORTEST_MS, round(seconds * 1000)))
