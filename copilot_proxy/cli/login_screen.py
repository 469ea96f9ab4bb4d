"""Screen output of ``login`` during the device flow: the code, the URL and the remaining time."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from copilot_proxy.cli.console import counted, print_message
from copilot_proxy.settings import ENVIRONMENT_PREFIX
from copilot_proxy.terminal import can_draw, escape_controls

if TYPE_CHECKING:
    from copilot_proxy.auth.device_flow import Waiting
    from copilot_proxy.auth.github import DeviceCode


class Progress(Protocol):
    """A callback that shows the progress while waiting for the user's approval."""

    def __call__(self, waiting: "Waiting") -> None: ...


def show_code(code: "DeviceCode") -> None:
    """Show the code and the URL for entering it, in a panel if stderr is a terminal."""
    if not can_draw():
        print_message(f"Open {code.verification_uri} and enter the code {code.user_code}")
        return
    from rich.align import Align
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    lines = Group(
        Align.center(Text.assemble("Open ", (escape_controls(code.verification_uri), "bold cyan"))),
        Align.center(Text.assemble("and enter ", (escape_controls(code.user_code), "bold yellow"))),
    )
    Console(stderr=True).print(Panel(lines, title="Sign in to GitHub", padding=(1, 4), width=64))


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the remaining time while the block runs."""
    if not can_draw():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.live import Live

    line = _Line()
    with Live(line, console=Console(stderr=True), refresh_per_second=4, transient=True):
        yield line


class _Line:
    """A line that counts down the remaining time."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._last_error: str | None = None

    def __call__(self, waiting: "Waiting") -> None:
        self._until = time.monotonic() + waiting.left
        self._last_error = waiting.last_error

    def __rich__(self) -> str:
        from rich.markup import escape

        if self._until is None:
            return "Waiting for your approval"
        left = max(round(self._until - time.monotonic()), 0)
        text = f"Waiting for your approval, [bold]{left // 60}:{left % 60:02}[/] left"
        if self._last_error:
            text += f"\n[yellow]{escape(self._last_error)} Still trying.[/]"
        return text


def _plain_progress() -> Progress:
    """Return a callback that prints a line at the start, and a line for each new problem."""
    before: list[str | None] = []

    def report(waiting: "Waiting") -> None:
        if not before:
            left = (
                counted(round(waiting.left / 60), "minute")
                if waiting.left >= 60
                else counted(max(round(waiting.left), 1), "second")
            )
            print_message(f"Waiting up to {left} for your approval.")
        elif waiting.last_error and waiting.last_error != before[-1]:
            print_message(f"{waiting.last_error} Still trying.")
        before[:] = [waiting.last_error]

    return report


def open_browser(url: str) -> None:
    """Open `url` in a browser if there is one; failures are ignored."""
    from copilot_proxy.daemon_threads import submit

    submit(lambda: start_browser(url).wait())


def start_browser(url: str) -> "subprocess.Popen[bytes]":
    """Start a browser with `url`. Raises `OSError`.

    The browser runs in a separate process, detached from the terminal, because browsers print
    messages, and text browsers would run in the terminal.
    """
    command = [sys.executable, "-I", "-m", "webbrowser", url]
    return subprocess.Popen(  # noqa: S603  # the URL is checked to be http(s)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=os.path.expanduser("~"),
        # The browser does not need our settings, some of which are secrets.
        env={
            name: value
            for name, value in os.environ.items()
            if not name.startswith(ENVIRONMENT_PREFIX)
        },
    )
