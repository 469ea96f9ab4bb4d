"""`python -m benchmarks.accounts [ROUNDS]`: the overhead of the ledger and the budget.

Three servers of this checkout run at the same time: without a ledger, with a ledger, and with a
ledger and a budget. Each round measures all three back to back, in a different order. Prints a
Markdown table with the means of the rounds, and the mean of the rounds' ratios with its standard
error. On a busy machine, more rounds reduce that error.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import candidates, runs
from benchmarks.installed import own_build
from benchmarks.machine_load import MachineLoad
from benchmarks.measures import CPU, Measure, Row
from benchmarks.measures import MEASURES as ALL
from benchmarks.processes import helper, memory
from benchmarks.target import Fake, Target

_ROUNDS: Final = 8
_AGENT: Final = next(one for one in ALL if one.name == "agent-1-messages-native").spec(quick=True)
MEASURES: Final = (
    Measure(
        "requests",
        {"work": "requests", "connections": 16, "seconds": 3},
        {},
        (
            Row("CPU ms per request, 16 connections", "cpu_each", 4),
            Row("latency p50 ms, 16 connections", "latency_p50", 2),
        ),
    ),
    Measure(
        "events",
        {"work": "streams", "streams": 64, "rate": 60, "ramp": 1, "count": 120, "rounds": 2},
        {},
        (
            Row("CPU s per 1,000 events, 64 paced streams", CPU, 4),
            Row("time to first token p50 ms, 64 paced streams", "first_p50", 3),
        ),
    ),
    Measure(
        "agent",
        {**_AGENT, "rounds": 20},
        {},
        (
            Row("CPU ms per request of 1 MB, messages", "cpu_each", 2),
            Row("time to first token p50 ms, request of 1 MB", "first_p50", 2),
        ),
    ),
)
_Values = dict[str, list[float]]
"""Server name -> the result of each round."""


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    machine = MachineLoad()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        address, _ = stack.enter_context(helper("upstream"))
        fake = Fake(**address)
        targets = [
            stack.enter_context(one.start())
            for one in candidates.accounts(own_build(), fake, folder)
        ]
        names = [one.name for one in targets]
        print(f"| measure | {' | '.join(names)} |\n|{' --- |' * (len(names) + 1)}", flush=True)
        for measure in MEASURES:
            found = _measured(measure, targets, fake, rounds)
            for row in measure.rows:
                print(_line(row, names, found[row.key]), flush=True)
        sizes = {one.name: [memory(one.process or 0) / 2**20] for one in targets}
        print(_line(Row("memory after that, MiB", "", 1), names, sizes))
    print(f"\n{rounds} rounds; other processes used {machine.other_cores():.2f} cores.")


def _measured(
    measure: Measure, targets: Sequence[Target], fake: Fake, rounds: int
) -> dict[str, _Values]:
    """Return the results of all rounds by row key. Raises `RuntimeError`."""
    found: dict[str, _Values] = {row.key: {one.name: [] for one in targets} for row in measure.rows}
    for number in range(rounds):
        first = number % len(targets)
        for target in (*targets[first:], *targets[:first]):
            result = runs.run(measure, target, fake, quick=False)
            if result["wrong"]:
                raise RuntimeError(f"{target.name}: {result['problems'][0]}")
            for row in measure.rows:
                found[row.key][target.name].append(result[row.key])
    return found


def _line(row: Row, names: Sequence[str], found: _Values) -> str:
    """Return a line of the table; ratios and differences are relative to the first server."""
    cells = []
    for name in names:
        cell = f"{statistics.mean(found[name]):.{row.digits}f}"
        if name != names[0]:
            pairs = list(zip(found[name], found[names[0]], strict=True))
            cell += f" ({_with_error([one / other for one, other in pairs])})"
        cells.append(cell)
    return f"| {row.title} | {' | '.join(cells)} |"


def _with_error(values: Sequence[float]) -> str:
    text = f"{statistics.mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values) / len(values) ** 0.5:.3f}"
    return text


if __name__ == "__main__":
    main()
