"""A file in the journal: what was changed in it, and its JSON representation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copilot_proxy.config_edits.changes import Change, JsonValues, TomlTables, WholeFile
from copilot_proxy.config_edits.json_text import Item


@dataclass(frozen=True)
class Entry:
    """A file in the journal."""

    path: Path
    change: Change
    written: str
    """The digest of the content that was written."""
    backup: str | None
    """The name of the backup from before the change, or None if there was no file."""
    folders: tuple[Path, ...] = ()
    """The folders that were created for the file, innermost first."""


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """Return an entry in its stored form."""
    change: dict[str, Any]
    match entry.change:
        case JsonValues(values=values, where_set=where_set):
            paths = [
                [list(step) if isinstance(step, Item) else step for step in path]
                for path, _ in [*values, *where_set]
            ]
            change = {"json": paths, "digests": list(entry.change.written)}
        case TomlTables(text=text):
            change = {"toml": text}
        case WholeFile():
            change = {"file": True}
    return {
        "path": str(entry.path),
        "change": change,
        "written": entry.written,
        "backup": entry.backup,
        "folders": [str(folder) for folder in entry.folders],
    }


def entry_from_json(found: Mapping[str, Any]) -> Entry:
    """Return the entry whose stored form is `found`.

    Raises `KeyError`, `TypeError` or `AttributeError` if `found` is damaged.
    """
    path, change = Path(found["path"]), found["change"]
    made: Change = WholeFile(path, "")
    if "json" in change:
        steps = [[Item(*s) if isinstance(s, list) else s for s in one] for one in change["json"]]
        made = JsonValues(path, [(one, None) for one in steps], digests=change["digests"])
    elif "toml" in change:
        made = TomlTables(path, change["toml"])
    return Entry(
        path,
        made,
        found["written"],
        found["backup"],
        tuple(Path(folder) for folder in found["folders"]),
    )
