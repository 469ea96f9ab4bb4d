"""The results as a Markdown table: medians of the rounds, their range, and ratios."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.measures import Result, Row

DIRECT: Final = "direct"
"""The fake upstream's name among the targets."""


class Results:
    """The results of all rounds, by row and target."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = list(targets)
        self.problems: list[str] = []
        self._values: dict[Row, dict[str, list[float]]] = {}

    def add(self, rows: Sequence[Row], target: str, result: Result) -> None:
        """Add the result of one round of one target."""
        for row in rows:
            values = self._values.setdefault(row, {}).setdefault(target, [])
            if result.get(row.key) is not None:
                values.append(float(result[row.key]))
        if result.get("wrong"):
            examples = "; ".join(result["problems"])
            self.problems.append(f"{target}: {result['wrong']} wrong answers: {examples}")

    def median(self, row: Row, target: str) -> float | None:
        """Return the median of the rounds, or None without results."""
        values = self._values.get(row, {}).get(target)
        return statistics.median(values) if values else None

    def table(self) -> str:
        """Return the table: a line per row, a column per target, compared with the first."""
        head = ["measure", *self.targets]
        lines = [head, ["---"] * len(head), *self._lines()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _lines(self) -> Iterator[list[str]]:
        for row in self._values:
            yield [row.title, *(self._cell(row, target) for target in self.targets)]
            if row.is_latency and self._values[row].get(DIRECT):
                yield [f"{row.title}, added", *(self._added(row, one) for one in self.targets)]

    def _added(self, row: Row, target: str) -> str:
        """Return by how much a target's values exceed those of the upstream in the same rounds."""
        values, direct = self._values[row].get(target, []), self._values[row][DIRECT]
        added = [value - own for value, own in zip(values, direct, strict=False)]
        if target == DIRECT or not added:
            return ""
        return _range(added, row.digits)

    def _cell(self, row: Row, target: str) -> str:
        values = self._values[row].get(target)
        if not values:
            return ""
        middle = statistics.median(values)
        cell = _range(values, row.digits)
        first = self.median(row, self.targets[0])
        if target != self.targets[0] and first and middle:
            factor = first / middle if row.more_is_better else middle / first
            cell += f" [{factor:.2f}]"
        return cell


def _range(values: Sequence[float], digits: int) -> str:
    """Return the median of the values, with their range if there are several."""
    text = f"{statistics.median(values):,.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
    return text


LEGEND = (
    "Medians of the rounds, with the minimum and maximum in parentheses. The factor in square "
    "brackets says how many times better the first column is (below 1: worse). Added: minus the "
    f"same round's time of the upstream itself, if {DIRECT} is one of the targets."
)
