"""Provides the server for ``run``: a running one, or a new one that all clients share.

The shared server is a separate process. It is detached from the terminal, and stops after the last
client has exited. `server_process` is its program.
"""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError, NoCopilotAccess, NotSignedIn, UsageError
from copilot_proxy.private_files import (
    failure_reason,
    make_folder,
    replace_private,
    write_hint,
)
from copilot_proxy.server.discovery import RunningServer, find_server
from copilot_proxy.server.leases import hold_lease, start_lock
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.server.worker_process import python_command
from copilot_proxy.settings import Settings
from copilot_proxy.temporary_folders import temporary_folder

_HOST: Final = "127.0.0.1"
_START_TIMEOUT: Final = 60.0
"""Seconds to wait until the server responds; GitHub, a keyring or the disk may be slow."""
_POLL: Final = 0.05
_ADDRESS_FILE: Final = "server.json"
_LOG_FILE: Final = "server.log"
_LAST_LINES: Final = 5
_TRIAL_FILE: Final = "trial"
_TRIAL_SIZE: Final = 4096
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def server_for(settings: Settings, *, simulate: bool) -> Iterator[RunningServer]:
    """Yield a server that runs at least as long as the block. Raises `CopilotProxyError`.

    With `simulate`, the server uses a simulator. A new server is not shared if the disk of the
    state folder is full or, with a simulator, if the folder cannot be written for any reason.
    """
    folder = _folder(settings, simulate=simulate)
    with ExitStack() as stack:
        try:
            is_shared = _is_writable(folder, simulate=simulate)
            server = None
            if not is_shared:
                server = _joined(stack, settings, folder, simulate=simulate)
                folder = stack.enter_context(temporary_folder())
            if server is None:
                with start_lock(folder):
                    stack.enter_context(hold_lease(folder))
                    server = _running(settings, folder, simulate=simulate) or stack.enter_context(
                        _started(settings, folder, simulate=simulate, is_shared=is_shared)
                    )
        except OSError as error:
            raise CopilotProxyError(
                f"{error.filename or folder} cannot be written: {failure_reason(error)}.",
                hint=write_hint(error),
            ) from error
        yield server


def _joined(
    stack: ExitStack, settings: Settings, folder: Path, *, simulate: bool
) -> RunningServer | None:
    """Return the shared server if it is already running, and hold its lease until `stack` closes.

    A lease is an empty file, which can be created even on a full disk.
    """
    with suppress(OSError), ExitStack() as own, start_lock(folder):
        own.enter_context(hold_lease(folder))
        if server := _running(settings, folder, simulate=simulate):
            stack.enter_context(own.pop_all())
            return server
    return None


def running_server(settings: Settings, *, simulate: bool) -> RunningServer | None:
    """Return a running server, or None. With `simulate`, only a server that uses a simulator
    counts."""
    return _running(settings, _folder(settings, simulate=simulate), simulate=simulate)


def address_of(settings: Settings) -> str:
    """Return the URL of the server that the settings describe, without ``/v1``.

    Raises `UsageError` if its port is unknown.
    """
    if settings.port == 0:
        source = settings.sources["port"]
        raise UsageError(
            f"The server's port is unknown: {source} sets it to 0, which means any free port.",
            hint="Set port to 8000, for example.",
        )
    return base_url(settings.host, settings.port)


def key_of(settings: Settings) -> str | None:
    """Return a key that the server accepts, or None if it needs none."""
    # Prefer a key that may use all models.
    keys = sorted(settings.keys, key=lambda one: bool(one.models))
    return keys[0].key.reveal() if keys else None


def _folder(settings: Settings, *, simulate: bool) -> Path:
    """Return the folder of the shared server's files."""
    kind = "simulated" if simulate else "real"
    return settings.state_dir / "run" / f"{settings.port}-{kind}"


def _is_writable(folder: Path, *, simulate: bool) -> bool:
    """Create the folder, and return whether files in it can be written.

    Raises `OSError` if not, unless the disk is full or the server uses a simulator.
    """
    try:
        make_folder(folder)
        # On a full disk, only the content of a file cannot be written.
        replace_private(folder / _TRIAL_FILE, bytes(_TRIAL_SIZE))
        (folder / _TRIAL_FILE).unlink(missing_ok=True)
    except OSError as error:
        if not simulate and error.errno not in _FULL:
            raise
        return False
    return True


def _running(settings: Settings, folder: Path, *, simulate: bool) -> RunningServer | None:
    addresses = [] if settings.uds or settings.port == 0 else [address_of(settings)]
    with suppress(OSError, ValueError, KeyError):  # there may never have been a shared server
        addresses.append(json.loads((folder / _ADDRESS_FILE).read_text())["url"])
    for address in addresses:
        server = find_server(address, key_of(settings))
        # With another profile, another account would be charged.
        if server is None or server.profile != settings.profile:
            continue
        if server.simulated or not simulate:
            return server
    return None


@contextmanager
def _started(
    settings: Settings, folder: Path, *, simulate: bool, is_shared: bool
) -> Iterator[RunningServer]:
    """Start the server, and yield it once it responds."""
    # On the usual port, other clients would find a server that does not wait for their leases.
    is_usual = is_shared and not simulate and not settings.uds
    port = _free_port(settings.port if is_usual else 0)
    url = base_url(_HOST, port)
    command = [
        *python_command("copilot_proxy.cli.server_process"),
        *(str(folder), "--host", _HOST, "--port", str(port)),
        *(["--simulate"] if simulate else []),
    ]
    log = folder / _LOG_FILE
    log.unlink(missing_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
        process = _spawn(command, output.fileno())
    deadline = time.monotonic() + _START_TIMEOUT
    while (server := find_server(url, key_of(settings))) is None:
        if process.poll() is not None:
            raise _failed(process.returncode, log)
        if time.monotonic() > deadline:
            process.terminate()
            process.wait()
            raise CopilotProxyError("The server did not start in time.", hint=f"Its log: {log}")
        time.sleep(_POLL)
    replace_private(folder / _ADDRESS_FILE, json.dumps({"url": url}).encode())
    try:
        yield server
    finally:
        # The server may still serve other clients, and exits on its own. If no exit code were set,
        # Python would warn that the process is still running.
        process.returncode = process.poll() or 0


def _spawn(command: list[str], output: int) -> "subprocess.Popen[bytes]":
    # Ctrl+C and the closing of the terminal must not stop the server.
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(  # noqa: S603  # it runs this package
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        creationflags=flags,
    )


def _free_port(wanted: int) -> int:
    """Return the port `wanted`, or another one if a program is already listening on that port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise CopilotProxyError("No port is free on this machine.")


def _failed(code: int, log: Path) -> CopilotProxyError:
    """Return the error for a server that has exited with `code`."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    written = [line for line in lines if line.strip()]
    start = next((i for i, line in enumerate(written) if line.startswith("Error: ")), None)
    if start is None:
        return CopilotProxyError(
            "The server did not start.", hint="\n".join(written[-_LAST_LINES:])
        )
    message = written[start].removeprefix("Error: ")
    hint = "\n".join(written[start + 1 :]) or None
    if code == NotSignedIn.exit_code:
        return NotSignedIn(message)
    kind = NoCopilotAccess if code == NoCopilotAccess.exit_code else CopilotProxyError
    return kind(message, hint=hint)
