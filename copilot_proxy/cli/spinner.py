"""The line that moves while an answer is awaited, with the last words of the model's reasoning."""

from typing import Final

from rich.console import Console
from rich.text import Text

_LONGEST: Final = 500
_MARGIN: Final = 4


class Spinner:
    """On stderr, gone without a trace when it stops."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._thoughts = ""
        self._status = self._console.status("Waiting", spinner="dots")
        self._status.start()

    def think(self, thought: str) -> None:
        """Shows the end of what the model has thought so far."""
        self._thoughts = (self._thoughts + thought)[-_LONGEST:]
        line = " ".join(self._thoughts.replace("*", "").split())
        line = "".join(char for char in line if char.isprintable())
        room = max(self._console.width - _MARGIN, 1)
        self._status.update(Text(line[-room:], style="dim", no_wrap=True))

    def stop(self) -> None:
        """Safe to call twice."""
        self._status.stop()
