"""The model list that this computer last received, for commands that do not always ask for it.

``model-list.json`` in the state folder contains Copilot's own list, which has the prices.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.private_files import READ, open_private, replace_private

_FILE: Final = "model-list.json"
_MAX_BYTES: Final = 8 * 1024 * 1024


class StoredList(NamedTuple):
    """A model list, and when it was received."""

    at: datetime
    catalogue: Catalogue


class _Content(msgspec.Struct):
    host: str
    at: datetime
    data: list[dict[str, Any]]
    """The entries of Copilot's list."""


def load(folder: Path, host: str) -> StoredList | None:
    """Return the list last received from the GitHub host `host`, or None if there is none."""
    try:
        with open(open_private(folder / _FILE, READ), "rb") as file:
            content = msgspec.json.decode(file.read(_MAX_BYTES), type=_Content)
        if content.host != host or content.at.tzinfo is None:
            return None
        return StoredList(content.at, parse_models(content.data))
    except (OSError, ValueError):  # includes msgspec's errors
        return None


def save(folder: Path, host: str, catalogue: Catalogue) -> None:
    """Store a list that has just been received, if possible."""
    content = _Content(host, datetime.now(UTC), [dict(model.raw) for model in catalogue])
    with suppress(OSError):
        replace_private(folder / _FILE, msgspec.json.encode(content))
