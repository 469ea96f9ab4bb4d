"""Wraps invalid arguments of earlier tool calls in an object.

Otherwise, once a model has written invalid arguments, every later request of the conversation would
be refused. The object contains the original text: ``{"INVALID_JSON": text}``.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.tool_arguments import INVALID_JSON, parsed_input
from copilot_proxy.formats.types import Json

_TEXT_KEY: Final = "arguments"
"""The key for arguments that are JSON text; under any other key, they are an object."""
_validate: Final = msgspec.json.Decoder(msgspec.Raw).decode
"""Validates JSON without building Python objects."""


def repair_invalid_json(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Wrap arguments that are not JSON in an object."""
    if outgoing.input_key != _TEXT_KEY:
        return
    changed = False
    for call in outgoing.calls:
        function = outgoing.function(call)
        text = function.get(_TEXT_KEY)
        if not isinstance(text, str):
            continue
        if not are_json((text,)):
            function[_TEXT_KEY] = _encode({INVALID_JSON: text} if text.strip() else {})
            changed = True
    if changed:
        notes.append("changed the arguments of an earlier tool call: they are not valid JSON")


def are_json(texts: Iterable[str]) -> bool:
    """Return whether all these tool arguments are valid JSON."""
    try:
        for text in texts:
            _validate(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def wrap_non_objects(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Wrap arguments that are JSON but not an object, for models that accept only objects."""
    changed = False
    key = outgoing.input_key
    is_text = key == _TEXT_KEY
    for call in outgoing.calls:
        function = outgoing.function(call)
        current = function.get(key)
        if isinstance(current, str) and is_text and current.lstrip()[:1] == "{":
            continue
        if not isinstance(current, dict):
            value = _as_object(current)
            function[key] = _encode(value) if is_text else value
            changed = changed or INVALID_JSON in value
    if changed:
        notes.append("changed the arguments of an earlier tool call: they are not an object")


def _as_object(value: Any) -> Json:
    if value is None:
        return {}
    return parsed_input(value) if isinstance(value, str) else {INVALID_JSON: _encode(value)}


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
