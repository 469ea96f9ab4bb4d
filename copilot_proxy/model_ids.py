"""Splits model names into brand, family and version, without a list of models.

Copilot's ids consist of a brand, words and a version, in varying order: ``claude-opus-4.7``,
``claude-3.5-sonnet``, ``gpt-5.6-luna``, ``gpt-4o-mini-2024-07-18``, ``kimi-k3``, ``o4-mini``.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

LONG_CONTEXT_SUFFIX: Final = "-1m"
"""The suffix of a long-context variant's id."""
LATEST_TAG: Final = ":latest"
"""The tag that Ollama clients add to a name without a tag."""
_LONG_CONTEXT: Final = "[1m]"
"""Claude Code's suffix for a long context. Copilot has a separate model for that."""
_DATE: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest)$")
"""A date in the form of Anthropic or OpenAI. Copilot's answers name models with their dates."""
_ANY_DATE: Final = re.compile(
    r"-(?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-\d\d(?:\d\d)?|\d{4}|preview|latest)(?=-|$)"
)
_SNAPSHOT: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|\d{4})")
_DASHED_VERSION: Final = re.compile(r"-(\d)-(\d{1,2})(?=-|$)")
_VERSION: Final = re.compile(r"(?P<letter>[a-z]?)(?P<number>\d+(?:\.\d+)*)o?")


class ModelName(NamedTuple):
    """The parts of a model name; any of them may be empty."""

    brand: str
    """The name's first word: ``claude``, ``gpt``, ``gemini``, ``o``."""
    words: tuple[str, ...]
    """The other words: ``("opus",)``, ``("codex", "mini")``."""
    version: tuple[int, ...]
    """``(4, 7)`` for ``claude-opus-4.7``."""

    @property
    def family(self) -> str:
        """The name without its version: ``claude-opus``, ``gpt-codex-mini``."""
        return "-".join((self.brand, *self.words))

    @property
    def plain(self) -> "ModelName":
        """This name without the long-context suffix."""
        words = tuple(word for word in self.words if word != LONG_CONTEXT_SUFFIX[1:])
        return self._replace(words=words)


def parse_name(name: str) -> ModelName:
    """Return the parts of a model name, leaving out a vendor prefix, dates and ``preview``."""
    plain = name.lower().rpartition("/")[2].removesuffix(_LONG_CONTEXT)
    dotted = _DASHED_VERSION.sub(r"-\1.\2", _ANY_DATE.sub("", plain))
    brand = ""
    words: list[str] = []
    version: tuple[int, ...] = ()
    for word in filter(None, dotted.split("-")):
        found = None if version else _VERSION.fullmatch(word)
        if found is not None:
            version = tuple(int(part) for part in found["number"].removesuffix(".0").split("."))
            word = "" if brand else found["letter"]
        if word and not brand:
            brand = word
        elif word:
            words.append(word)
    return ModelName(brand, tuple(words), version)


def is_snapshot(model_id: str, name: str) -> bool:
    """Return whether an id is `name` with a date: ``gpt-4o-2024-11-20`` is one of ``gpt-4o``."""
    date = model_id.removeprefix(name)
    return date != model_id and _SNAPSHOT.fullmatch(date) is not None


def spellings(name: str) -> Iterator[str]:
    """Yield `name`, then `name` without its date, then the undated name with dots in its version.

    For example ``claude-opus-4-7-20260401``, ``claude-opus-4-7`` and ``claude-opus-4.7``.
    """
    yield name
    is_long = name.endswith(_LONG_CONTEXT)
    undated = _DATE.sub("", name.removesuffix(_LONG_CONTEXT))
    dotted = _DASHED_VERSION.sub(r"-\1.\2", undated)
    if is_long:
        yield f"{undated}{LONG_CONTEXT_SUFFIX}"
        yield f"{dotted}{LONG_CONTEXT_SUFFIX}"
    yield undated
    yield dotted
