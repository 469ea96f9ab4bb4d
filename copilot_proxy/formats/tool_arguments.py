"""The arguments of a tool call, as models write them: piece by piece, and not always to an end."""

from typing import Final

import msgspec

from copilot_proxy.errors import BrokenResponse

_MOST_BLANKS: Final = 20
"""Line breaks and tabs in a row, with nothing between, which real arguments never have."""


def is_json(text: str) -> bool:
    """Whether `text` is one JSON value; what is nested too deeply to be read is none."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


class RunawayGuard:
    """Stops a model that is stuck writing blank lines into a tool call: the user pays for them."""

    __slots__ = ("_blanks",)

    def __init__(self) -> None:
        self._blanks = 0

    def watch(self, text: str) -> None:
        """Takes the next piece; raises `BrokenResponse` when the model is stuck."""
        tail = text.rstrip()
        if tail:
            self._blanks = 0
        if len(tail) == len(text):
            return
        self._blanks += sum(char in "\r\n\t" for char in text[len(tail) :])
        if self._blanks > _MOST_BLANKS:
            raise BrokenResponse(
                "The model got stuck writing blank lines into a tool call, so it was stopped.",
                hint="Try again, or try another model.",
                code="runaway_whitespace",
            )
