"""A row in the table of model families: which models it applies to, and their traits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from copilot_proxy.catalogue import Model

_CLAUDE: Final = re.compile(r"claude-(?P<kind>[a-z]+)-(?P<major>\d+)(?:[.-](?P<minor>\d{1,2}))?\b")


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of the table: conditions for a model, and the resulting `ModelProfile` traits.

    The row applies to a model if all conditions match. An empty condition matches every model.
    """

    name: str
    source: str
    vendors: tuple[str, ...] = ()
    ids: re.Pattern[str] | None = None
    """Must match the start of the model id."""
    kinds: tuple[str, ...] = ()
    """Kinds of Claude: ``opus``, ``sonnet`` and so on."""
    since: tuple[int, int] | None = None
    """The first Claude version that the row applies to, as (major, minor)."""
    unless_family: re.Pattern[str] | None = None
    """Must not match the start of the catalogue's `family`."""
    apis: tuple[str, ...] = ()
    """The Copilot APIs that the row applies to."""
    traits: Mapping[str, Any] = field(default_factory=dict)

    def applies_to(self, model: Model | None, api: str) -> bool:
        """Return whether the row applies to `model` on `api`; `model` is None if it is unknown."""
        if self.apis and api not in self.apis:
            return False
        if model is None:
            return not (self.vendors or self.ids or self.kinds or self.since)
        if self.vendors and model.vendor not in self.vendors:
            return False
        if self.ids and not self.ids.match(model.id):
            return False
        if self.unless_family and self.unless_family.match(model.family + " "):
            return False
        return self._matches_claude(model)

    def _matches_claude(self, model: Model) -> bool:
        if not self.kinds and self.since is None:
            return True
        kind, version = claude_version(model)
        return (not self.kinds or kind in self.kinds) and version >= (self.since or (0, 0))


def claude_version(model: Model) -> tuple[str, tuple[int, int]]:
    """Return the kind and version in a Claude model id, such as ``("opus", (4, 7))``.

    Returns ``("", (0, 0))`` for other models. Older ids join the two numbers, as in
    ``claude-opus-41``.
    """
    found = _CLAUDE.match(model.id)
    if found is None:
        return "", (0, 0)
    major, minor = found["major"], found["minor"] or "0"
    if len(major) == 2 and found["minor"] is None and major[0] in "345":
        major, minor = major[0], major[1]
    return found["kind"], (int(major), int(minor))
