"""Normalizes requests: names become camelCase, and single items become lists where needed.

Google parses JSON as protocol buffers, so names may also be in snake_case, and clients may write a
list of one item as just the item. Names defined by the client, as in arguments and schemas, are
left unchanged.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.types import Json

_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")

_PART: Final[Mapping[str, Any]] = {
    "inlineData": {},
    "fileData": {},
    "functionCall": {},
    "functionResponse": {"parts": {"inlineData": {}, "fileData": {}}},
    "executableCode": {},
    "codeExecutionResult": {},
}
_CONTENT: Final[Mapping[str, Any]] = {"parts": _PART}
_GENERATE: Final[Mapping[str, Any]] = {
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": {"functionDeclarations": {}},
    "toolConfig": {"functionCallingConfig": {}},
    "generationConfig": {"thinkingConfig": {}},
    "safetySettings": {},
}
_EMBED: Final[Mapping[str, Any]] = {"content": _CONTENT, "embedContentConfig": {}}
_REQUEST: Final[Mapping[str, Any]] = {
    **_GENERATE,
    **_EMBED,
    "generateContentRequest": _GENERATE,
    "requests": _EMBED,
}
"""Object in a request -> the objects nested in it. Objects with keys chosen by the client are left
out."""
_LISTS: Final = frozenset(
    {"contents", "parts", "tools", "functionDeclarations", "safetySettings", "requests"}
)


def with_google_names(request: Json) -> Json:
    """Return a decoded request with Google's names in camelCase. Changes objects in place."""
    return _renamed(request, _REQUEST)


def _renamed(value: Json, inner: Mapping[str, Any]) -> Json:
    if any("_" in name for name in value):
        value = {camel(name): one for name, one in value.items()}
    for name, names in inner.items():
        found = value.get(name)
        if isinstance(found, str) and name in ("contents", "systemInstruction", "content"):
            found = {"parts": [{"text": found}]}
        if isinstance(found, dict):
            found = _renamed(found, names)
            value[name] = [found] if name in _LISTS else found
        elif isinstance(found, list):
            value[name] = [_renamed(one, names) if isinstance(one, dict) else one for one in found]
    return value


def camel(name: str) -> str:
    """Return a name in camelCase."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)
