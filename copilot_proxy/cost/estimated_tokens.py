"""Estimates the tokens of a request whose answer ended before Copilot sent its counts.

The estimates are rough, and are always marked as such.
"""

from collections.abc import Mapping
from typing import Any, Final

_CHARS_PER_TOKEN: Final = 4
_FILE_TOKENS: Final = 1600
"""Tokens to assume for an image or document: the maximum that Claude counts for an image."""
_MIN_FILE: Final = 2000
"""Strings without spaces that have at least this many characters count as file data."""
TOKENS_PER_EVENT: Final = 2.0
"""Output tokens to assume per stream event until a model has given a complete answer."""


def prompt_tokens(request: Mapping[str, Any]) -> int:
    """Return the estimated number of tokens in a request in any API's format."""
    chars = files = 0
    todo: list[Any] = [request]
    for value in todo:  # the list grows during the loop
        kind = type(value)
        if kind is str:
            length = len(value)
            if length >= _MIN_FILE and _has_no_space(value[:_MIN_FILE]):
                files += 1
            else:
                chars += length
        elif kind is dict:
            # Field names count, because tool schemas consist mostly of them.
            chars += len("".join(value))
            todo += value.values()
        elif kind is list:
            todo += value
    return chars // _CHARS_PER_TOKEN + files * _FILE_TOKENS


def _has_no_space(text: str) -> bool:
    """Return whether `text` has no whitespace, like file data, but unlike lists of numbers or
    names."""
    return " " not in text and "\n" not in text


class EventSizes:
    """Learns from complete answers how many output tokens a stream event contains."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def learn(self, model: str, events: int, tokens: int) -> None:
        """Learn from a complete stream."""
        known_events, known_tokens = self._counts.get(model, (0, 0))
        self._counts[model] = known_events + events, known_tokens + tokens

    def per_event(self, model: str) -> float:
        """Return the average number of output tokens per event in the model's streams."""
        events, tokens = self._counts.get(model, (0, 0))
        return tokens / events if events else TOKENS_PER_EVENT
