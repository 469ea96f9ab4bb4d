"""The parts of a Gemini request: where each may occur, and which fields are translated."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import Json

GOOGLES: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
"""The parts that Google's own tools leave in a conversation."""
_ANYWHERE: Final = ("text", "inlineData", "fileData", "audioTranscription")
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": (*_ANYWHERE, "functionResponse"),
    "model": (*_ANYWHERE, "functionCall", *GOOGLES),
    # Images and files have an error of their own.
    "system": ("text", "inlineData", "fileData"),
}
"""The parts that may occur in contents with each role, and in the system instruction."""
_CONTENTS: Final = frozenset(name for names in _PLACES.values() for name in names)
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "": _CONTENTS | {"thought", "thoughtSignature", "partMetadata"},
    "inlineData": frozenset({"mimeType", "data", "displayName"}),
    "functionCall": frozenset({"name", "args", "id"}),
    "functionResponse": frozenset({"name", "response", "id", "parts"}),
}
"""The translated fields of a part, and of the objects in it."""


def check_place(part: Json, place: str, path: str) -> None:
    """Raise a `RequestError` if a part may not occur in `place`: user, model or system."""
    for name in part.keys() & _CONTENTS:
        if part[name] is None or name in _PLACES[place]:
            continue
        if place == "system":
            message, hint = "The system instruction must be text.", "Send the part in `contents`."
        else:
            message = f"Contents with the role `{place}` cannot have the part `{name}`."
            other = "model" if place == "user" else "user"
            hint = f"Send it in contents with the role `{other}`."
        raise RequestError(message, param=f"{path}.{name}", code="invalid_value", hint=hint)


def untranslated(part: Json) -> Iterator[str]:
    """Yield the names of a part's fields that Copilot has no equivalent for."""
    for name, fields in _FIELDS.items():
        holder = part.get(name) if name else part
        if isinstance(holder, dict):
            yield from (one for one in holder if holder[one] and one not in fields)
    for inner in (part.get("functionResponse") or {}).get("parts") or ():
        yield from untranslated(inner)


def googles_text(name: str, value: Any) -> str:
    """Return the text for a part from one of Google's own tools, such as code or its output."""
    code = value.get("code") if isinstance(value, dict) else None
    if isinstance(code, str):
        return f"```{str(value.get('language') or '').lower()}\n{code}\n```"
    output = value.get("output") if isinstance(value, dict) else None
    if isinstance(output, str):
        return f"{value.get('outcome') or 'Output'}:\n```\n{output}\n```"
    return f"({name}: {msgspec.json.encode(value).decode()})"
