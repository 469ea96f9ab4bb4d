"""Stops a model that is stuck writing blank lines into a tool call: the person pays for them."""

from typing import Final

from copilot_proxy.errors import BrokenResponse

_MOST: Final = 20
"""Line breaks and tabs in a row, with nothing between, which real arguments never have."""


class RunawayGuard:
    """Watches the input of one tool call."""

    def __init__(self) -> None:
        self._blanks = 0

    def watch(self, text: str) -> None:
        """Takes the next piece; raises `BrokenResponse` when the model is stuck."""
        tail = text.rstrip()
        blanks = sum(char in "\r\n\t" for char in text[len(tail) :])
        self._blanks = blanks if tail else self._blanks + blanks
        if self._blanks > _MOST:
            raise BrokenResponse(
                "The model got stuck writing blank lines into a tool call, so it was stopped.",
                hint="Try again, or try another model.",
                code="runaway_whitespace",
            )
