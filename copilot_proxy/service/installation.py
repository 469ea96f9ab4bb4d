"""The files through which ``service install`` and the service's server communicate.

``service.json`` contains variables from the shell that ran ``service install``, and an id by which
the installer recognizes the server. ``failure.json`` says why the server did not start. Both are
private, because a proxy's address may contain a password.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from copilot_proxy.errors import UsageError
from copilot_proxy.private_files import READ, open_private, replace_private
from copilot_proxy.settings import ENVIRONMENT_PREFIX, INSTANCE_VARIABLE, Settings

_INSTALLATION: Final = "service.json"
_FAILURE: Final = "failure.json"
_LOG: Final = "service.log"
_VARIABLES: Final = frozenset(
    {
        *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "PATH"),
    }
)
"""Variables that the server needs besides its settings. Node.js is found through PATH."""
_PREFIXES: Final = (ENVIRONMENT_PREFIX, "PYTHON_KEYRING_", "KEYRING_PROPERTY_")
_TOKEN: Final = f"{ENVIRONMENT_PREFIX}GITHUB_TOKEN"
_PATHS: Final = tuple(
    f"{ENVIRONMENT_PREFIX}{name}"
    for name in ("HOME_DIR", "LOG_FILE", "DUMP_DIR", "UDS", "GITHUB_TOKEN_FILE", "API_KEY_FILE")
)


@dataclass(frozen=True)
class Installation:
    """The content of ``service.json``."""

    instance: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """Why the server has exited."""

    instance: str
    code: int
    """The server's exit code."""
    text: str
    """The server's last output: an error and its hint."""


def folder_of(settings: Settings) -> Path:
    """Return the folder of the service's files."""
    return settings.state_dir.absolute() / "service"


def log_file_of(settings: Settings) -> Path:
    """Return the log file of the service: the one in the settings, or else one in its folder."""
    return settings.log_file or folder_of(settings) / _LOG


def new_installation(environ: Mapping[str, str]) -> Installation:
    """Return an installation with a new id, and the variables that the service needs.

    Raises `UsageError` if the GitHub token is in an environment variable, because it would have
    to be written to a file.
    """
    if environ.get(_TOKEN):
        raise UsageError(
            f"The GitHub token is in {_TOKEN}, which the service cannot read.",
            hint="Unset it and sign in with: copilot-proxy login",
        )
    kept = {
        name: str(Path(value).absolute()) if name in _PATHS and value else value
        for name, value in environ.items()
        if (name.upper() in _VARIABLES or name.startswith(_PREFIXES)) and name != INSTANCE_VARIABLE
    }
    return Installation(_new_id(), kept)


def renewed(installation: Installation) -> Installation:
    """Return a copy of the installation with a new id."""
    return replace(installation, instance=_new_id())


def read_installation(folder: Path) -> Installation | None:
    """Return the installation, or None if its file is missing or cannot be read."""
    try:
        return Installation(**json.loads(_read(folder / _INSTALLATION)))
    except (OSError, ValueError, TypeError):
        return None


def write_installation(folder: Path, installation: Installation) -> None:
    """Write ``service.json``, and forget any earlier failure."""
    replace_private(folder / _INSTALLATION, json.dumps(asdict(installation), indent=2).encode())
    clear_failure(folder)


def remove_installation(folder: Path) -> None:
    """Remove ``service.json`` and the failure; the log is kept."""
    (folder / _INSTALLATION).unlink(missing_ok=True)
    clear_failure(folder)


def read_failure(folder: Path) -> Failure | None:
    """Return why the server's last start failed, or None if it did not fail."""
    try:
        return Failure(**json.loads(_read(folder / _FAILURE)))
    except (OSError, ValueError, TypeError):
        return None


def write_failure(folder: Path, failure: Failure) -> None:
    """Write why the server has exited."""
    replace_private(folder / _FAILURE, json.dumps(asdict(failure)).encode())


def clear_failure(folder: Path) -> None:
    """Forget the failure, because the server is being started."""
    (folder / _FAILURE).unlink(missing_ok=True)


def _new_id() -> str:
    return secrets.token_hex(8)


def _read(path: Path) -> bytes:
    with open(open_private(path, READ), "rb") as file:
        return file.read(1_000_000)
