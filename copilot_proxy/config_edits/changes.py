"""A change to a file: the whole file, some JSON values, or some TOML tables.

A change computes the new content of a file, and can also remove itself from a file, even if the
user has edited the file since.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

from copilot_proxy.config_edits import json_text, toml_text
from copilot_proxy.config_edits.document import CannotEdit, Document
from copilot_proxy.config_edits.json_scanner import scan
from copilot_proxy.config_edits.json_text import Item, Path


class Removed(NamedTuple):
    """A file's content after a change has been removed from it."""

    content: bytes | None
    """None if there is no file."""
    kept: tuple[str, ...] = ()
    """Edits that the user has made since the change; undoing the change keeps them."""


@dataclass(frozen=True)
class WholeFile:
    """A file with exactly this content."""

    path: PurePath
    text: str
    only_new: bool = False
    """Whether an existing file belongs to the user, and must not be replaced."""

    def applied(self, before: bytes | None) -> bytes:
        """Return the file's new content; `before` is None if there is no file. Raises
        `CannotEdit`."""
        after = self.text.encode("utf-8")
        if self.only_new and before is not None and before != after:
            raise CannotEdit("already exists, and editing it could lose some of its contents")
        return after

    def removed(
        self, current: bytes, original: bytes | None, *, keeps_edits: bool = False
    ) -> Removed:
        """Return the `original` content. With `keeps_edits`, keep the `current` file instead."""
        return Removed(current, ("the whole file",)) if keeps_edits else Removed(original)

    def shown(self) -> str:
        """Return the text for users who change the file by hand."""
        return self.text


@dataclass(frozen=True)
class JsonValues:
    """Values in a JSON file, which may contain comments."""

    path: PurePath
    values: Sequence[tuple[Path, Any]]
    where_set: Sequence[tuple[Path, Any]] = ()
    """Values that are set only where a value already exists."""
    digests: Sequence[str] = ()
    """The digests of all values, if the values themselves are no longer known."""

    @property
    def written(self) -> Sequence[str]:
        """The digests of `values` and `where_set`."""
        return self.digests or [_digest(data) for _, data in (*self.values, *self.where_set)]

    def applied(self, before: bytes | None) -> bytes:
        """Return the file's new content; `before` is None if there is no file. Raises
        `CannotEdit`."""
        document = Document.decode(before or b"")
        text, expected = document.text, _data(document.text)
        replaced = [
            (path, data)
            for path, data in self.where_set
            if json_text.get_value(text, path) is not None
        ]
        # Each new value becomes the first in its object, so set them in reverse order.
        for path, data in [*reversed(self.values), *replaced]:
            text = json_text.set_value(text, path, data)
            expected = with_value(expected, path, data)
        if _data(text) != expected:
            raise CannotEdit("contains something that this program does not understand")
        return Document(text, document.bom).encode()

    def removed(
        self, current: bytes, original: bytes | None, *, keeps_edits: bool = False
    ) -> Removed:
        """Return the content of `current` without the change. Raises `CannotEdit`.

        With `keeps_edits`, values that the user has edited since the change are kept.
        """
        now, before = Document.decode(current), Document.decode(original or b"").text
        text, kept = now.text, []
        paths = [path for path, _ in (*self.values, *self.where_set)]
        for path, digest in zip(reversed(paths), reversed(self.written), strict=True):
            if keeps_edits and _is_edited(text, path, digest, before):
                kept.append(_name(path))
            else:
                text = json_text.put_back(text, path, before)
        if original is None and not _data(text):
            return Removed(None)
        if json_text.is_same(text, before):
            # Some programs rewrite all of their settings in their own formatting.
            return Removed(original)
        return Removed(Document(text, now.bom).encode(), tuple(reversed(kept)))

    def shown(self) -> str:
        """Return the text for users who change the file by hand."""
        data: Any = None
        for path, value in self.values:
            data = with_value(data, path, value)
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class TomlTables:
    """Tables at the end of a TOML file."""

    path: PurePath
    text: str

    def applied(self, before: bytes | None) -> bytes:
        """Return the file's new content; `before` is None if there is no file. Raises
        `CannotEdit`."""
        document = Document.decode(before or b"")
        return Document(toml_text.add_tables(document.text, self.text), document.bom).encode()

    def removed(
        self, current: bytes, original: bytes | None, *, keeps_edits: bool = False
    ) -> Removed:
        """Return the content of `current` without the change.

        Raises `CannotEdit`, for example if the tables were edited.
        """
        document = Document.decode(current)
        text = toml_text.remove_tables(document.text, self.text)
        if original is None and not text:
            return Removed(None)
        return Removed(Document(text, document.bom).encode())

    def shown(self) -> str:
        """Return the text for users who change the file by hand."""
        return self.text


Change = WholeFile | JsonValues | TomlTables


def with_value(data: Any, path: Path, value: Any) -> Any:
    """Return a copy of `data` with `value` at `path`."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, Item):
        items = list(data or [])
        for index, item in enumerate(items):
            if isinstance(item, Mapping) and item.get(step.key) == step.value:
                items[index] = with_value(item, rest, value)
                return items
        return [with_value(None, rest, value), *items]
    members = dict(data or {})
    return members | {step: with_value(members.get(step), rest, value)}


def _is_edited(text: str, path: Path, digest: str, before: str) -> bool:
    """Return whether the value at `path` differs from both the written value and the earlier
    one."""
    now = json_text.get_value(text, path)
    if now is None or _digest(_data(now)) == digest:
        return False
    old = json_text.get_value(before, path)
    return old is None or _data(now) != _data(old)


def _digest(data: Any) -> str:
    """Return the digest of a value. If an object or list contains URLs, only these count.

    Clients such as Cline may update other fields, for example a timestamp. The object still belongs
    to `connect` as long as it points to this server.
    """
    data = (_addresses(data) if isinstance(data, dict | list) else None) or data
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _addresses(data: Any) -> list[str]:
    if isinstance(data, dict | list):
        inner = data.values() if isinstance(data, dict) else data
        return sorted(address for value in inner for address in _addresses(value))
    return [data] if isinstance(data, str) and data.startswith(("http://", "https://")) else []


def _name(path: Path) -> str:
    return ".".join(step.value if isinstance(step, Item) else step for step in path)


def _data(text: str) -> Any:
    value = scan(text)
    return None if value is None else value.data
