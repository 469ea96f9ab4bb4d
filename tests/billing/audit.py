"""Compares the ledger with the fake Copilot's charges, order by order."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.billing.clients import Outcome
from tests.billing.copilot import Charge

WRITE_SECONDS: Final = 5.0
"""The longest time between the end of a request and its row, even on a busy machine."""
_SURE: Final = ("reported", "details", "models")
"""The sources of exact costs."""
_EXPECTED: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "good": (("ok",), ("reported",)),
    "parts": (("ok",), ("details",)),
    "silent": (("ok",), ("models",)),
    "failing": (("ok", "broken", "refused_upstream"), ("reported",)),
    "erring": (("broken", "refused_upstream"), ("estimated", "unknown")),
    "billed": (("broken", "refused_upstream"), ("reported",)),
    "stale": (("ok",), ("reported",)),
    "cut": (("broken",), ("estimated", "unknown")),
    "left": (("client_left",), ("estimated",)),
    "refused": (("refused_upstream", "refused_here"), ("free",)),
    "unwell": (("refused_upstream", "broken"), ("unknown",)),
}
"""The outcome and the cost source of each kind of order."""


class Audit(NamedTuple):
    """The result of the comparison."""

    orders: int
    rows: int
    charged: int
    """Charges for orders whose exact cost is in the ledger, in nano-AIU."""
    recorded: int
    """The ledger's costs for the same orders."""
    killed: int
    """Orders that were running, or not yet in the ledger, when their server was killed."""
    sources: Counter[str]
    """The number of rows by cost source."""
    problems: list[str]


def audit(
    ledger: Path, outcomes: Sequence[Outcome], charges: Mapping[int, Charge], kills: Sequence[float]
) -> Audit:
    """Compare `ledger` with `charges`; `kills` are the times at which a process was killed."""
    rows = _rows(ledger)
    problems: list[str] = []
    charged = recorded = killed = 0
    for outcome in outcomes:
        order = outcome.order
        charge = charges.get(order.number, Charge())
        found = rows.pop(order.session, [])
        # Data that a killed server sent may still be read shortly after the kill.
        is_excused = any(-1.0 < kill - outcome.ended < WRITE_SECONDS for kill in kills)
        if len(found) != 1:
            # A client may disconnect before a busy server has read its request.
            is_early = order.kind == "left" and outcome.status is None
            is_lost = charge.calls > 0 or not (outcome.is_broken or is_excused or is_early)
            if found or is_lost:
                problems.append(f"{order}: {len(found)} rows, {charge}, {outcome}")
            continue
        row = found[0]
        if row["error_code"] == "server_killed":
            killed += 1
            if not (outcome.is_broken or is_excused):
                problems.append(f"{order}: its answer was complete, but it has no cost")
            continue
        problems += _differences(row, outcome, charge)
        if row["cost_source"] in _SURE:
            charged += charge.nano
            recorded += row["nano_aiu"]
    problems += [f"{session}: {len(found)} rows, but no order" for session, found in rows.items()]
    every = [row for found in _rows(ledger).values() for row in found]
    return Audit(
        len(outcomes), len(every), charged, recorded, killed,
        Counter(row["cost_source"] for row in every), problems,
    )  # fmt: skip


def _differences(row: dict[str, Any], outcome: Outcome, charge: Charge) -> list[str]:
    """Return the problems with an order's row."""
    order = outcome.order
    kind = order.kind if order.stream or order.kind != "erring" else "good"
    outcomes, sources = _EXPECTED[kind]
    if order.path.endswith("/count_tokens"):
        outcomes, sources = ("ok",), ("free",)
    if order.kind == "stale" and not charge.calls:  # renewals are limited
        outcomes, sources = _EXPECTED["refused"]
    if order.kind == "left" and not charge.calls:  # before the request was sent
        sources = ("free", *sources)
    if outcome.is_broken:  # the server was killed after it had written the row
        outcomes = (*outcomes, "client_left")
    problems = []
    if row["outcome"] not in outcomes:
        problems.append(f"{order}: outcome {row['outcome']}, status {outcome.status}")
    if row["cost_source"] not in sources:
        problems.append(f"{order}: cost source {row['cost_source']}, {charge}")
    if row["cost_source"] in _SURE and row["nano_aiu"] != charge.nano:
        problems.append(f"{order}: {row['nano_aiu']} recorded, {charge.nano} charged")
    if row["cost_source"] == "free" and charge.nano:
        problems.append(f"{order}: free, but {charge.nano} charged")
    return problems


def _rows(ledger: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the ledger by session."""
    found: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(ledger)) as database:
        database.row_factory = sqlite3.Row
        for row in database.execute("SELECT * FROM requests"):
            found.setdefault(row["session"], []).append(dict(row))
    return found
