"""Runs the user's command when most of a limit has been used, and when a request is refused.

The command runs only once for each limit, amount, period and occasion. It is run by whichever
server or worker is the first to create the marker file.
"""

import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from copilot_proxy.cost.limits import Limit
from copilot_proxy.private_files import NEW, failure_reason, make_folder, open_private

log = logging.getLogger(__name__)

Occasion = Literal["used", "refused"]
"""Why a notice is sent: most of a limit was used, or a request was refused."""
_TIMEOUT: Final = 30.0
"""Seconds after which the command is killed."""
_KEPT_SECONDS: Final = 40 * 86_400
"""Seconds for which sent notices are remembered: more than a month."""


class Notices:
    """Sends the notices of one process. `folder` contains the marker files of all processes."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """`command` is a program with arguments, to which the text is appended. If it is empty,
        nothing is sent."""
        self._command = tuple(command)
        self._folder = folder
        self._sent: set[str] = set()

    def send(self, occasion: Occasion, limit: Limit, allowed: int, period: str, text: str) -> None:
        """Run the command with `text`, unless it already ran for this occasion, limit and period.

        `allowed` is the amount of the limit in nano-AIU, and `period` the day, month or session.
        Does not wait for the command to exit.
        """
        if not self._command:
            return
        about = "\0".join((occasion, *limit.target, str(allowed), period))
        name = hashlib.sha256(about.encode()).hexdigest()
        if name in self._sent:
            return
        self._sent.add(name)
        threading.Thread(target=self._send, args=(name, text), name="notify", daemon=True).start()

    def _send(self, name: str, text: str) -> None:
        try:
            if not self._is_first(name):
                return
            flags = 0
            if sys.platform == "win32":
                flags = subprocess.CREATE_NO_WINDOW
            # No shell: the text is one argument, even if a client's name contains special
            # characters.
            done = subprocess.run(  # noqa: S603  # the user has named the command
                [*self._command, text],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                timeout=_TIMEOUT,
                check=False,
                start_new_session=True,  # Ctrl+C is meant for the server
                creationflags=flags,
            )
        except subprocess.TimeoutExpired:
            log.warning("The notify command did not finish within %g s.", _TIMEOUT)
        except OSError as error:
            log.warning("The notify command failed: %s.", failure_reason(error))
            with suppress(OSError):  # so that it is tried again after a restart
                (self._folder / name).unlink(missing_ok=True)
        else:
            if done.returncode:
                log.warning("The notify command failed with exit code %d.", done.returncode)

    def _is_first(self, name: str) -> bool:
        """Mark a notice as sent. Return False if it has already been sent. Raises `OSError`."""
        make_folder(self._folder)
        oldest = time.time() - _KEPT_SECONDS
        for file in self._folder.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
        try:
            os.close(open_private(self._folder / name, NEW))
        except FileExistsError:
            return False
        return True


def _environment() -> dict[str, str]:
    """Return the environment for the command, without this program's secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("COPILOT_PROXY_") and ("KEY" in name or "TOKEN" in name))
    }
