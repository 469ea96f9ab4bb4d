"""Walks through the types of the vendors' SDKs, and builds values with a canary in each text.

A canary is a unique word. If it does not reach the model, something was lost on the way.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import typing_extensions

from copilot_proxy.formats.types import Json

_TEXT: Final = "(a text)"
"""Stands for text in a value that has no canaries yet."""
_WRAPPERS: Final = (
    typing_extensions.Annotated,
    typing_extensions.Required,
    typing_extensions.NotRequired,
)
_SCHEMAS: Final = ("parameters", "input_schema", "schema", "output_schema")
"""The fields with JSON schemas, which the SDKs declare as any object."""
_PNG: Final = b"\x89PNG\r\n\x1a\n\0"
_PDF: Final = b"%PDF-1.4\n"
_CANARY: Final = re.compile(r"canary-\d{4}x")
_ENCODED: Final = re.compile(r"Y2FuYXJ5L[A-Za-z0-9+/]{7}")


class Walk:
    """Yields values of types, each with only one optional field, so that no field hides another.

    The optional fields of an object type are added only where the type first occurs, since it is
    handled in the same way in all places.
    """

    def __init__(self) -> None:
        self._seen: set[object] = set()

    def values(self, kind: Any) -> Iterator[Any]:
        """Yield at least one value for each member of a union, and for each field of an object."""
        while get_origin(kind) in _WRAPPERS:
            kind = get_args(kind)[0]
        origin, args = get_origin(kind), get_args(kind)
        if kind is str:
            yield _TEXT
        elif kind in (Any, object) or (kind is dict or origin is dict):
            yield {"key": _TEXT}
        elif kind in (bool, int, float):
            yield {bool: True, int: 3, float: 0.5}[kind]
        elif origin is Literal:
            yield args[0]
        elif origin in (Union, UnionType):
            members = [one for one in args if one is not NoneType]
            for member in sorted(members, key=lambda one: one is not str):
                yield from self.values(member)
        elif isinstance(origin, type) and issubclass(origin, Iterable):
            yield from ([value] for value in self.values(args[0]))
        elif typing_extensions.is_typeddict(kind):
            yield from self._objects(kind)

    def _objects(self, kind: Any) -> Iterator[Json]:
        is_new, fields = kind not in self._seen, get_type_hints(kind, include_extras=True)
        self._seen.add(kind)
        required = [name for name in fields if _is_required(kind, name, fields[name])]
        variants = {name: [*self.values(fields[name])] for name in required}
        if not all(variants.values()):
            return  # a type that contains itself
        base = {name: variants[name][0] for name in required}
        yield base
        for name in required:
            yield from ({**base, name: value} for value in variants[name][1:])
        for name in [name for name in fields if is_new and name not in required]:
            yield from ({**base, name: value} for value in self.values(fields[name]))


def _is_required(kind: Any, name: str, declared: Any) -> bool:
    # The types have annotations as text, so `__required_keys__` does not know the wrappers.
    if (wrapper := get_origin(declared)) in _WRAPPERS[1:]:
        return wrapper is typing_extensions.Required
    return name in kind.__required_keys__


class Marker:
    """Replaces each text of a value with a canary, in the form that its field requires."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        """Canary -> the path of its field."""

    def marked(self, value: Any, path: str = "") -> Any:
        """Return the value with canaries."""
        name = path.rpartition(".")[2].removesuffix("[]")
        if value == _TEXT:
            return self._text(name, path)
        if isinstance(value, list):
            return [self.marked(one, f"{path}[]") for one in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("type") or value.get("role")
        path += f"<{kind}>" if isinstance(kind, str) and kind != _TEXT else ""
        if name in _SCHEMAS:
            field = {"type": "string", "description": self._canary(f"{path}.description")}
            return {"type": "object", "properties": {"x": field}}
        if value.get("type") == "base64" and "media_type" in value:
            is_image = str(value["media_type"]).startswith("image/")
            data = self._encoded(_PNG if is_image else _PDF, f"{path}.data")
            kind = "image/png" if is_image else value["media_type"]
            return {**value, "media_type": kind, "data": data}
        return {name: self.marked(one, f"{path}.{name}") for name, one in value.items()}

    def _text(self, name: str, path: str) -> str:
        if name == "arguments":
            return json.dumps({"x": self._canary(path)})
        if name in ("image_url", "url") and "image_url" in path:
            return f"data:image/png;base64,{self._encoded(_PNG, path)}"
        if name == "file_data":
            return f"data:text/plain;base64,{self._encoded(b'', path)}"
        return self._canary(path)

    def _canary(self, path: str) -> str:
        canary = f"canary-{len(self.places):04}x"
        self.places[canary] = path
        return canary

    def _encoded(self, start: bytes, path: str) -> str:
        return base64.b64encode(start + self._canary(path).encode()).decode()


def found_in(body: object) -> set[str]:
    """Return the canaries in a body, including those in base64."""
    text = json.dumps(body)
    decoded = [base64.b64decode(one).decode() for one in _ENCODED.findall(text)]
    return {*_CANARY.findall(text), *decoded}
