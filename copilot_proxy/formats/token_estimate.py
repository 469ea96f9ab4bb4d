"""Finds the parts of a request that count as tokens, for an estimate without a call to Copilot.

The caller counts the tokens of the text. Each image counts as `IMAGE_TOKENS`, which errs on the
high side: Claude's own rule is width times height divided by 750, but at most 1600. Each document
that is not text, such as a PDF, counts as `DOCUMENT_TOKENS`, enough for one or two pages, because
documents are not parsed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.cost.estimated_tokens import prompt_tokens
from copilot_proxy.formats.plain_turns import PlainTurns, expanded

IMAGE_TOKENS: Final = 1600
DOCUMENT_TOKENS: Final = 3000
_JSON_CHARS_PER_TOKEN: Final = 4.2
"""Average characters per token in JSON. This is more than in plain text, because 5% of a long
conversation's JSON is punctuation, which `prompt_tokens` leaves out."""


class CountedFields(NamedTuple):
    """The names of an API's fields that count as tokens."""

    text: tuple[str, ...]
    json: tuple[str, ...]
    """The fields whose JSON counts as text."""
    nested: tuple[str, ...]
    """The fields that contain nested text and objects."""


def request_tokens(request: Mapping[str, Any]) -> int:
    """Return a rough estimate of the number of tokens in a request for any API, from its length."""
    plain = [one for one in request.values() if type(one) is PlainTurns and not one.images]
    if not plain:
        return prompt_tokens(expanded(request))
    others = {name: one for name, one in request.items() if type(one) is not PlainTurns}
    # Encoding takes a third of the time of iterating over all strings.
    chars = sum(len(msgspec.json.encode(turns).decode()) for turns in plain)
    return prompt_tokens(others) + round(chars / _JSON_CHARS_PER_TOKEN)


def texts(value: Any, fields: CountedFields) -> Iterator[str]:
    """Yield all text in a part of a request, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, fields)
    elif isinstance(value, dict):
        for name in fields.text:
            if isinstance(value.get(name), str):
                yield value[name]
        if value.get("type") == "text" and isinstance(value.get("data"), str):
            yield value["data"]  # the source of a document
        for name in fields.json:
            if value.get(name) is not None:
                yield msgspec.json.encode(value[name]).decode()
        for name in fields.nested:
            yield from texts(value.get(name), fields)
