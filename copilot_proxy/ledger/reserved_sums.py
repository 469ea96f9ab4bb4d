"""Sums up what is reserved, by everything that a limit can count."""

from collections.abc import Sequence
from typing import Final

from copilot_proxy.ledger.reservation import Group, Target, targets_of

Total = list[int]
"""A list of one amount in nano-AIU, which changes."""
_MAX_UNUSED: Final = 1000
"""Groups without reservations that are remembered; each session is one."""


class ReservedSums:
    """The totals of all targets. A reservation is added to each of those of its group."""

    def __init__(self) -> None:
        self._totals: dict[Target, Total] = {}
        self._of_group: dict[Group, Sequence[Total]] = {}

    def is_outdated(self, running: int) -> bool:
        """Return whether most groups are those of ended requests, so that only the `running`
        reservations should be summed up again."""
        return len(self._of_group) > _MAX_UNUSED + running

    def of(self, target: Target) -> Total:
        """Return what is reserved of what a limit counts; the list changes with it."""
        return self._totals.setdefault(target, [0])

    def totals(self, group: Group) -> Sequence[Total]:
        """Return the totals to which the reservations of a group have to be added."""
        found = self._of_group.get(group)
        if found is None:
            found = self._of_group[group] = tuple([self.of(one) for one in targets_of(group)])
        return found
