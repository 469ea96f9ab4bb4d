"""Runs the command-line tools of service managers."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from copilot_proxy.service.definition import ServiceError

_TIMEOUT: Final = 90.0
"""Seconds that a command may take; stopping a service may have to wait for open requests."""


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command, and return its exit code and its output.

    Raises `ServiceError` if the command is missing or does not exit.
    """
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program; the arguments are our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise ServiceError(f"The program {command[0]!r} was not found.") from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"{' '.join(command)} did not finish within {_TIMEOUT:.0f} s.") from None
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def run_checked(command: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed, and return its output. Raises `ServiceError`."""
    code, output = run(command, environ)
    if code != 0:
        reason = output.splitlines()[-1] if output else f"exit code {code}"
        raise ServiceError(f"{' '.join(command)} failed: {reason}")
    return output
