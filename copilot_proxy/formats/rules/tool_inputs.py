"""Arguments of earlier calls that a model would refuse to see again.

A model that wrote broken arguments once must not stop every later turn of the conversation: they
go up as an object that shows the text.
"""

from typing import Any, Final

import msgspec

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.tool_arguments import INVALID_JSON, parsed_input

_TEXT: Final = "arguments"
"""The key of arguments that are a text; elsewhere they are an object."""
_JSON: Final = msgspec.json.Decoder(msgspec.Raw)


def fit_invalid_json(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Puts arguments that are no JSON at all into an object."""
    if outgoing.input_key != _TEXT:
        return
    changed = False
    for function in map(outgoing.function, outgoing.calls):
        text = function.get(_TEXT)
        if isinstance(text, str) and not _is_json(text):
            function[_TEXT] = _written({INVALID_JSON: text} if text.strip() else {})
            changed = True
    if changed:
        notes.append("changed the arguments of an earlier tool call: they are no JSON")


def fit_objects(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Puts arguments that are JSON but no object into one, for models that take objects alone."""
    if not profile.object_arguments:
        return
    changed = False
    key = outgoing.input_key
    is_text = key == _TEXT
    for function in map(outgoing.function, outgoing.calls):
        given = function.get(key)
        if isinstance(given, str) and is_text and given.lstrip()[:1] == "{":
            continue
        if not isinstance(given, dict):
            value = _as_object(given)
            function[key] = _written(value) if is_text else value
            changed = changed or INVALID_JSON in value
    if changed:
        notes.append("changed the arguments of an earlier tool call: they are no object")


def _as_object(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    return parsed_input(given) if isinstance(given, str) else {INVALID_JSON: _written(given)}


def _is_json(text: str) -> bool:
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _written(value: object) -> str:
    return msgspec.json.encode(value).decode()
