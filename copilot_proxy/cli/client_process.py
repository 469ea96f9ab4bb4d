"""Runs a client's program in the foreground, as if the shell had started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NamedTuple

from copilot_proxy.errors import ClientNotFound

_ANSWER_TIMEOUT: Final = 20
"""Seconds within which a client must print the requested information."""
_SIGNALED: Final = 128
"""As in shells, the exit code of a program ended by a signal is this plus the signal's number."""


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    """The exit code."""
    was_interrupted: bool
    """Whether Ctrl+C was pressed; the program may have ended in the middle of a line."""


def run_program(command: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run `command` until it exits, and return how it ended.

    Meanwhile, this process does not act on signals, but passes them on to the program. Raises
    `ClientNotFound`.
    """
    with _passed_signals() as (programs, received):
        try:
            process = subprocess.Popen(  # noqa: S603  # what the user asked for
                command,
                env=environ,
                # The program inherits the open lock file of `temporary_folder`.
                close_fds=sys.platform == "win32",
            )
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ClientNotFound(
                f"{command[0]} cannot be started: {reason}.",
                hint="Its installation may be incomplete. Install it again.",
            ) from None
        programs.append(process)
        code = process.wait()
    code = code if code >= 0 else _SIGNALED - code
    # A client that reads Ctrl+C as a key receives no signal, but exits with the signal's usual
    # code.
    return Ended(code, signal.SIGINT in received or code == _SIGNALED + signal.SIGINT)


def ask_program(command: Sequence[str]) -> str:
    """Run `command` without a terminal and return its output, or "" if it fails."""
    try:
        return subprocess.run(  # noqa: S603  # a program that the user has installed
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWER_TIMEOUT,
            check=True,
            encoding="utf-8",
            errors="replace",
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


@contextmanager
def _passed_signals() -> Iterator["tuple[list[subprocess.Popen[bytes]], set[int]]"]:
    """Pass signals on to programs while the block runs.

    Yields a list, to which the block adds its programs, and the set of signals received so far.
    """
    programs: list[subprocess.Popen[bytes]] = []
    received: set[int] = set()

    def handle(number: int, frame: FrameType | None) -> None:
        received.add(number)
        # In the foreground, the terminal has already sent Ctrl+C to the program.
        if number == signal.SIGINT and _is_in_foreground():
            return
        for process in programs:
            process.send_signal(number)

    passed = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        passed.append(signal.SIGHUP)
    # Unlike an ignored signal, a handler is not inherited by the program.
    before = {
        number: signal.signal(number, handle)
        for number in passed
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield programs, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether this process is in the foreground process group of a terminal."""
    if sys.platform == "win32":
        return True
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
