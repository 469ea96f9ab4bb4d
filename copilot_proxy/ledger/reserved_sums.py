"""Sums up the reserved amounts for each target of a limit."""

from collections.abc import Sequence
from typing import Final

from copilot_proxy.ledger.reservation import Group, Target, targets_of

Total = list[int]
"""A list with a single amount in nano-AIU, so that it can be changed in place."""
_MAX_UNUSED: Final = 1000
"""Maximum number of unused groups to remember. Each session is a group of its own."""


class ReservedSums:
    """The totals of all targets. A reservation is added to every target of its group."""

    def __init__(self) -> None:
        self._totals: dict[Target, Total] = {}
        self._of_group: dict[Group, Sequence[Total]] = {}

    def is_outdated(self, running: int) -> bool:
        """Return whether to compute the sums again, so that the groups of completed requests are
        forgotten. `running` is the number of running requests."""
        return len(self._of_group) > _MAX_UNUSED + running

    def of(self, target: Target) -> Total:
        """Return the total reserved for a target, as a list that the caller may change in place."""
        return self._totals.setdefault(target, [0])

    def totals(self, group: Group) -> Sequence[Total]:
        """Return the totals that the reservations of a group must be added to."""
        found = self._of_group.get(group)
        if found is None:
            found = self._of_group[group] = tuple([self.of(one) for one in targets_of(group)])
        return found
