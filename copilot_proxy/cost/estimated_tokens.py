"""Estimates the tokens of a request for which Copilot sent no counts.

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
TOKENS_PER_ANSWER: Final = 1000
"""Output tokens to assume for an entire answer until the model has given a complete one."""
_ANSWER_FIELDS: Final = ("choices", "output", "content")
"""The fields of a whole answer that contain its text, in each of Copilot's APIs."""


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


def answer_tokens(answer: Mapping[str, Any]) -> int:
    """Return the estimated number of output tokens in a whole answer of any Copilot API."""
    return prompt_tokens({"": [answer[name] for name in _ANSWER_FIELDS if name in answer]})


def _has_no_space(text: str) -> bool:
    """Return whether `text` has no whitespace, like file data, but unlike lists of numbers or
    names."""
    return " " not in text and "\n" not in text


class AnswerSizes:
    """Learns from complete answers how many output tokens a model's answers and their events
    have."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[int, int]] = {}
        self._answers: dict[str, tuple[int, int]] = {}

    def learn(self, model: str, events: int, tokens: int) -> None:
        """Learn from a complete answer; `events` is 0 if it was not streamed."""
        for known, count in ((self._answers, 1), (self._events, events)):
            if count:
                known_count, known_tokens = known.get(model, (0, 0))
                known[model] = known_count + count, known_tokens + tokens

    def per_event(self, model: str) -> float:
        """Return the average number of output tokens per event in the model's streams."""
        events, tokens = self._events.get(model, (0, 0))
        return tokens / events if events else TOKENS_PER_EVENT

    def per_answer(self, model: str) -> float:
        """Return the average number of output tokens in the model's answers."""
        answers, tokens = self._answers.get(model, (0, 0))
        return tokens / answers if answers else TOKENS_PER_ANSWER
