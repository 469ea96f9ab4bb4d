"""What ``login`` shows while the person is at GitHub: code, address, time left; and the browser."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from copilot_proxy.cli.console import talk
from copilot_proxy.settings import ENVIRONMENT_PREFIX
from copilot_proxy.terminal import can_draw

if TYPE_CHECKING:
    from copilot_proxy.auth.device_flow import Waiting
    from copilot_proxy.auth.github import DeviceCode


class Progress(Protocol):
    """Is told how the wait for the approval stands."""

    def __call__(self, waiting: "Waiting") -> None: ...


def show_code(code: "DeviceCode") -> None:
    """The code and where to enter it: a panel on a terminal, plain lines elsewhere."""
    if not can_draw():
        talk(f"Open {code.verification_uri} and enter the code {code.user_code}")
        return
    from rich.align import Align
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    lines = Group(
        Align.center(Text.assemble("Open ", (code.verification_uri, "bold cyan"))),
        Align.center(Text.assemble("and enter ", (code.user_code, "bold yellow"))),
    )
    Console(stderr=True).print(Panel(lines, title="Sign in to GitHub", padding=(1, 4), width=64))


@contextmanager
def progress() -> Iterator[Progress]:
    """A line with the time left while the block runs."""
    if not can_draw():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.live import Live

    line = _Line()
    with Live(line, console=Console(stderr=True), refresh_per_second=4, transient=True):
        yield line


class _Line:
    """A line that counts down by itself between two reports."""

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
    """One line at the start, and one for each new trouble."""
    before: list[str | None] = []

    def report(waiting: "Waiting") -> None:
        if not before:
            talk(f"Waiting for your approval, {waiting.left / 60:.0f} minutes at most.")
        elif waiting.last_error and waiting.last_error != before[-1]:
            talk(f"{waiting.last_error} Still trying.")
        before[:] = [waiting.last_error]

    return report


def open_browser(url: str) -> None:
    """Opens `url` if this machine has a browser; whether it did is not known.

    A process of its own, away from the terminal: browsers print, and some would run inside it.
    """
    command = [sys.executable, "-I", "-m", "webbrowser", url]
    from copilot_proxy.auth.threads import submit

    submit(
        lambda: subprocess.run(  # noqa: S603  # the address is checked to be http(s)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=os.path.expanduser("~"),
            # It has no use for our settings, some of which are keys and tokens.
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(ENVIRONMENT_PREFIX)
            },
            check=False,
        )
    )
