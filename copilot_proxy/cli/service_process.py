"""The program that a service runs: ``serve``, with variables from the shell that installed the
service."""

import io
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

from copilot_proxy.cli.error_boundary import INTERRUPTED, flush_stderr, open_streams
from copilot_proxy.cli.main import run
from copilot_proxy.cli.startup import speed_up_startup
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.service.installation import (
    Failure,
    clear_failure,
    log_file_of,
    read_installation,
    write_failure,
)
from copilot_proxy.settings import INSTANCE_VARIABLE, load_settings

_RETRY: Final = 300.0
"""Seconds that a failed server waits before it exits and is started again. Until the user has fixed
the cause, it would only fail again, and might query GitHub each time."""
_LINES: Final = 12


def main() -> None:
    """Run the program. The argument is the folder with the service's files."""
    folder = Path(sys.argv[1])
    speed_up_startup()
    open_streams()
    installation = read_installation(folder)
    if installation is None:
        sys.exit(f"{folder} has no service.json. Install the service again.")
    os.environ.update(installation.environment)
    os.environ[INSTANCE_VARIABLE] = installation.instance
    clear_failure(folder)
    # Keep stderr out of the system's log: it would duplicate the log file, which is rotated.
    outside = sys.stderr
    sys.stderr = screen = _LastLines()
    try:
        code = run(["serve", *_log_flags()])
    finally:
        sys.stderr, text = outside, screen.text()
    if code not in (0, INTERRUPTED):
        write_failure(folder, Failure(installation.instance, code, text))
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # for the system's log
        time.sleep(_RETRY)
    flush_stderr()
    sys.exit(code)


def _log_flags() -> list[str]:
    try:
        return ["--log-file", str(log_file_of(load_settings()))]
    except CopilotProxyError:
        return []  # `serve` reports the error


class _LastLines(io.TextIOBase):
    """Keeps the last lines written to it."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)

    def write(self, text: str) -> int:
        """Add the lines in `text`. Like other text streams, raise `TypeError` for bytes."""
        if not isinstance(text, str):
            raise TypeError("expected text")
        self._lines.extend(line for line in text.splitlines() if line.strip())
        return len(text)

    def text(self) -> str:
        """Return the last error and any lines after it, or the last lines if there is no error."""
        lines = list(self._lines)
        starts = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
        return "\n".join(lines[starts[-1] :] if starts else lines)


if __name__ == "__main__":
    main()
