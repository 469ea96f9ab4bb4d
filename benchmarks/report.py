"""Tables in Markdown of what was measured: medians of the rounds, their spread, and ratios."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measures import Row

Json = dict[str, Any]


class Results:
    """What every round gave, by row and target."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = list(targets)
        self.problems: list[str] = []
        self._values: dict[Row, dict[str, list[float]]] = {}

    def add(self, rows: Sequence[Row], target: str, told: Json) -> None:
        """One round of one target."""
        for row in rows:
            values = self._values.setdefault(row, {}).setdefault(target, [])
            if told.get(row.key) is not None:
                values.append(float(told[row.key]))
        if told.get("wrong"):
            shown = "; ".join(told["problems"])
            self.problems.append(f"{target}: {told['wrong']} answers were wrong, such as {shown}")

    def median(self, row: Row, target: str) -> float | None:
        """The median of the rounds."""
        values = self._values.get(row, {}).get(target)
        return statistics.median(values) if values else None

    def table(self) -> str:
        """One line a row, one column a target; what follows the first target is compared to it."""
        head = ["measure", *self.targets]
        lines = [head, ["---"] * len(head), *self._lines()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _lines(self) -> Iterator[list[str]]:
        for row in self._values:
            yield [row.title, *(self._cell(row, target) for target in self.targets)]

    def _cell(self, row: Row, target: str) -> str:
        values = self._values[row].get(target)
        if not values:
            return ""
        middle = statistics.median(values)
        cell = f"{middle:,.{row.digits}f}"
        if len(values) > 1:
            cell += f" ({min(values):,.{row.digits}f} to {max(values):,.{row.digits}f})"
        first = self.median(row, self.targets[0])
        if target != self.targets[0] and first and middle:
            factor = first / middle if row.more_is_better else middle / first
            cell += f" [{factor:.2f}]"
        return cell


LEGEND = (
    "Medians of the rounds, in brackets the least and the most; in square brackets how many times "
    "better the first column is (below 1: worse)."
)
