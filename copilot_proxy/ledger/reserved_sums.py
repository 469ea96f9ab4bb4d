"""Sums up what is reserved, by everything that a limit can count."""

from typing import Final

from copilot_proxy.ledger.reservation import Group, Target, targets_of

Total = list[int]
"""A list of one amount in nano-AIU, which changes."""
_MAX_GROUPS: Final = 1000
"""Groups that are remembered; each session is one."""


class ReservedSums:
    """The totals of all targets. A reservation is added to each of those of its group."""

    def __init__(self) -> None:
        self._totals: dict[Target, Total] = {}
        self._of_group: dict[Group, tuple[Total, ...]] = {}

    def of(self, target: Target) -> int:
        """Return what is reserved of what a limit counts, in nano-AIU."""
        total = self._totals.get(target)
        return 0 if total is None else total[0]

    def totals(self, group: Group) -> tuple[Total, ...]:
        """Return the totals to which the reservations of a group have to be added."""
        found = self._of_group.get(group)
        if found is None:
            if len(self._of_group) >= _MAX_GROUPS:
                self._of_group.clear()
                self._totals = {target: one for target, one in self._totals.items() if one[0]}
            totals = [self._totals.setdefault(target, [0]) for target in targets_of(group)]
            found = self._of_group[group] = tuple(totals)
        return found
