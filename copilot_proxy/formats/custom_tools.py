"""Represents custom tools, whose input is plain text, as functions for models without custom tools.

The function has one argument, the text: ``{"input": "..."}``. Chat Completions keeps the parts of a
grammar in an object, and Responses keeps them next to the type.
"""

import re
from typing import Any, Final

import msgspec

from copilot_proxy.formats.types import Json

_INPUT_DESCRIPTION: Final = (
    "The complete input of this tool as text, exactly as the tool expects it."
)
_START: Final = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MAX_START: Final = 64
"""The text must start within this many characters of the start of the arguments."""
_TEXT: Final = re.compile(
    r'(?:[^"\\]++|\\[^u]|\\u[0-9a-fA-F]{4}|\\u(?![0-9a-fA-F]{0,3}\Z))*+', re.DOTALL
)
"""The contents of a JSON string, up to its end or an incomplete escape."""
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {c: c for c in '"\\/'}
_HALF: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
"""The first half of a surrogate pair, which JSON writes as two escapes."""


def function_of(custom: Json) -> Json:
    """Return the definition of a function that represents a custom tool.

    The definition is ``{"name", "description", "parameters"}``. `custom` may be in the format of
    Chat Completions or of Responses.
    """
    form = flat_format(custom.get("format"))
    description = _INPUT_DESCRIPTION
    if isinstance(form.get("definition"), str):
        description += f" It follows this {form.get('syntax')} grammar:\n{form['definition']}"
    definition: Json = {"name": custom["name"]}
    if isinstance(custom.get("description"), str) and custom["description"]:
        definition["description"] = custom["description"]
    definition["parameters"] = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": description}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return definition


def flat_format(form: Any) -> Json:
    """Return a custom tool's format in Responses' flat form, or {} if there is none."""
    if not isinstance(form, dict):
        return {}
    grammar = form.get("grammar")
    return {"type": form.get("type"), **grammar} if isinstance(grammar, dict) else form


def nested_format(form: Any) -> Json:
    """Return a custom tool's format in Chat Completions' nested form, or {} if there is none."""
    if not isinstance(form, dict) or form.get("type") != "grammar" or "grammar" in form:
        return form if isinstance(form, dict) else {}
    grammar = {name: value for name, value in form.items() if name != "type"}
    return {"type": "grammar", "grammar": grammar}


def custom_arguments(text: str) -> str:
    """Return the function's arguments, as JSON, for a custom tool with the input `text`."""
    return msgspec.json.encode({"input": text}).decode()


def custom_input(arguments: str) -> str:
    """Extract the input of a custom tool from the arguments of its function.

    For some custom tools, models use a different argument name, such as ``patch``; such names are
    also accepted. Arguments in any other form are returned unchanged.
    """
    try:
        decoded: Any = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return arguments
    if not isinstance(decoded, dict):
        return arguments
    text = decoded.get("input", "" if not decoded else None)
    if text is None and len(decoded) == 1:
        (text,) = decoded.values()
    return text if isinstance(text, str) else arguments


class InputDecoder:
    """Extracts the input of a custom tool from the arguments of its function as they arrive.

    `feed` accepts a chunk of the arguments and returns the text that it adds; `close` returns the
    remaining text. Arguments in an unexpected form are left to `close`, which handles them like
    `custom_input`.
    """

    __slots__ = ("_has_ended", "_has_started", "_pending", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._pending = ""
        self._has_started = False
        self._has_ended = False

    def feed(self, piece: str) -> str:
        """Return the text that the chunk `piece` adds."""
        if self._has_ended:
            return ""
        if not self._has_started:
            self._pieces.append(piece)
            if self._size > _MAX_START:
                return ""
            self._size += len(piece)
            whole = "".join(self._pieces)
            start = _START.match(whole)
            if start is None:
                return ""
            self._has_started = True
            piece = whole[start.end() :]
        return self._read(self._pending + piece)

    def close(self) -> str:
        """Return the remaining text. Must be called once, after the last chunk."""
        return self._pending if self._has_started else custom_input("".join(self._pieces))

    def _read(self, raw: str) -> str:
        match = _TEXT.match(raw)
        end = match.end() if match else 0
        self._has_ended = raw[end : end + 1] == '"'
        if not self._has_ended and (half := _HALF.search(raw, max(0, end - 6), end)):
            end = half.start()
        self._pending = "" if self._has_ended else raw[end:]
        return _decoded(raw[:end])


def _decoded(raw: str) -> str:
    """Return a JSON string's contents. Keeps invalid escapes; replaces unpaired surrogates."""
    if "\\" not in raw:
        return raw
    text = _ESCAPE.sub(_character, raw)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPES.get(escape[2], escape[0])
