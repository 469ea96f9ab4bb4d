"""Finds the GitHub tokens of other programs: GitHub CLI, Copilot CLI and editors.

Sources: ``gh auth token --help``; GitHub's documentation of Copilot CLI's authentication; Copilot
CLI's ``config.json``; the files of Copilot's editor plugins, in the format that several plugins
read.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from copilot_proxy.auth import hosts
from copilot_proxy.auth.token_kinds import may_be_token
from copilot_proxy.daemon_threads import submit
from copilot_proxy.errors import CopilotProxyError, LoginFailed, UsageError
from copilot_proxy.headers import CLIENT_ID
from copilot_proxy.masking import Secret

TITLES: Final = {"gh": "GitHub CLI", "copilot-cli": "Copilot CLI", "editor": "an editor"}
_TIMEOUT: Final = 20.0
"""Timeout in seconds. It must be long enough for the user to enter the keyring's password."""
_MAX_SIZE: Final = 1_000_000
_KEYRING_SERVICE: Final = "copilot-cli"
_CLI_VARIABLE: Final = "COPILOT_GITHUB_TOKEN"
_COMMENT: Final = re.compile(r"^\s*//.*$", re.MULTILINE)
_NO_HOST: Final = re.compile(r"[^a-z0-9.-]+")
"""Matches the characters around the host in a name such as ``https://github.com:mona``."""
_TABLES: Final = ("copilotTokens", "copilot_tokens")
_HINT: Final = "Sign in with: copilot-proxy login"


@dataclass(frozen=True)
class FoundToken:
    """A token, and where it was found, such as ``the file PATH``."""

    token: Secret
    where: str


def find_token(program: str, host: str) -> FoundToken:
    """Return the token of ``gh``, ``copilot-cli`` or ``editor`` for a GitHub host.

    Blocks, and may cause a keyring to ask for its password. Raises `LoginFailed` with the reason if
    there is none.
    """
    finders = {"gh": _from_gh, "copilot-cli": _from_copilot_cli, "editor": _from_editor}
    found = finders[program](host)
    if not may_be_token(found.token):
        raise LoginFailed(f"There is no GitHub token in {found.where}.", hint=_HINT)
    return found


def _from_gh(host: str) -> FoundToken:
    program = shutil.which("gh")
    if program is None:
        raise LoginFailed(
            "GitHub CLI is not installed: there is no program 'gh' on the PATH.", hint=_HINT
        )
    command = [program, "auth", "token", "--hostname", host]
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are fixed, and the host is checked
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise LoginFailed("GitHub CLI did not respond.", hint=_HINT) from None
    token = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0 or not token:
        raise LoginFailed(
            f"GitHub CLI is not signed in to {host}.",
            hint=f"Sign in there with: gh auth login --hostname {host}\nOr here with: "
            "copilot-proxy login",
        )
    return FoundToken(Secret(token), "GitHub CLI")


def _from_copilot_cli(host: str) -> FoundToken:
    if token := os.environ.get(_CLI_VARIABLE, "").strip():
        return FoundToken(Secret(token), _CLI_VARIABLE)
    path = Path.home() / ".copilot" / "config.json"
    for name, value in _tables(path):
        if _is_for(host, name):
            return FoundToken(Secret(value), f"the file {path}")
    if (stored := _from_keyring(host)) is not None:
        return FoundToken(Secret(stored), "the system keyring")
    raise LoginFailed(
        "Copilot CLI is not signed in, or its token cannot be read from the keyring.",
        hint=f"Sign in there with: copilot login\n{_HINT.replace('Sign in', 'Or here')}",
    )


def _tables(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the token of each entry in Copilot CLI's file (JSON with comments)."""
    data = _json(path, comments=True)
    for table in _TABLES:
        entries = data.get(table)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            value = entry.get("token") if isinstance(entry, dict) else entry
            if isinstance(value, str) and value:
                yield name, value


def _is_for(host: str, account: str) -> bool:
    """Return whether an account such as ``https://github.com:mona`` belongs to `host`.

    The whole host name must match, because a token for another host must not be sent to `host`.
    """
    return host in _NO_HOST.split(account.lower())


def _from_keyring(host: str) -> str | None:
    """Return Copilot CLI's token from the keyring, or None if there is none.

    The entry is named after the account, which is not known here.
    """

    def read() -> str | None:
        import keyring

        entry = keyring.get_credential(_KEYRING_SERVICE, None)
        if entry is None or ("://" in entry.username and not _is_for(host, entry.username)):
            return None
        return entry.password

    future = submit(read)
    wait([future], _TIMEOUT)
    # Backends raise many kinds of errors; treat each like a missing token.
    return future.result() if future.done() and future.exception() is None else None


def _from_editor(host: str) -> FoundToken:
    folder = _editor_folder()
    found: list[tuple[bool, FoundToken]] = []
    for path in (folder / "apps.json", folder / "hosts.json"):
        for name, entry in _json(path).items():
            token = entry.get("oauth_token") if isinstance(entry, dict) else None
            entry_host, _, app = name.partition(":")
            if _normal(entry_host) == host and isinstance(token, str) and token:
                found.append(
                    (app in ("", CLIENT_ID), FoundToken(Secret(token), f"the file {path}"))
                )
    if found:
        # Prefer a token of the editors' app, because it can be exchanged.
        return next((one for is_editor, one in found if is_editor), found[0][1])
    if (folder / "auth.db").is_file():
        raise LoginFailed(
            f"The editor encrypts its token in {folder / 'auth.db'}, so other programs cannot use "
            "it.",
            hint=_HINT,
        )
    raise LoginFailed(
        f"No editor has stored a token for {host} in {folder}. VS Code keeps its token where other "
        "programs cannot read it.",
        hint=_HINT,
    )


def _editor_folder() -> Path:
    if sys.platform == "win32":
        top = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        top = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return top / "github-copilot"


def _normal(host: str) -> str | None:
    try:
        return hosts.normalize(host)
    except UsageError:
        return None


def _json(path: Path, *, comments: bool = False) -> Mapping[str, Any]:
    """Return the JSON object in a file, or an empty one if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_SIZE)
        data = json.loads(_COMMENT.sub("", text) if comments else text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CopilotProxyError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
