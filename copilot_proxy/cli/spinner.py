"""The spinner shown while waiting for an answer, with the end of the model's reasoning."""

from typing import Final

from rich.console import Console
from rich.text import Text

_MAX_LENGTH: Final = 500
_MARGIN: Final = 4


class Spinner:
    """A spinner on stderr that is erased when it stops."""

    def __init__(self, text: str = "Waiting") -> None:
        self._console = Console(stderr=True)
        self._reasoning = ""
        self._status = self._console.status(text, spinner="dots")
        self._status.start()

    def show_reasoning(self, reasoning: str) -> None:
        """Append to the reasoning, and show the end of it."""
        self._reasoning = (self._reasoning + reasoning)[-_MAX_LENGTH:]
        line = " ".join(self._reasoning.replace("*", "").split())
        line = "".join(char for char in line if char.isprintable())
        room = max(self._console.width - _MARGIN, 1)
        self._status.update(Text(line[-room:], style="dim", no_wrap=True))

    def stop(self) -> None:
        """Stop and erase the spinner. Safe to call twice."""
        self._status.stop()
