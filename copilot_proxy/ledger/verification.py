"""Checks the ledger by adding up the parts of each cost, and recomputing every hash and sum."""

import sqlite3
from typing import NamedTuple

import msgspec

from copilot_proxy.cost.nano_aiu import sum_of_details
from copilot_proxy.ledger.hash_chain import next_hash
from copilot_proxy.ledger.insertion import add_to
from copilot_proxy.ledger.schema import AMOUNTS, COLUMNS, GROUPS, INDEX, Row

_MAX_FINDINGS = 50


class Findings(NamedTuple):
    """The results of a check; a ledger is sound if there are neither changes nor differences."""

    rows: int
    changes: list[str]
    """Sentences about rows that were later changed, removed or added."""
    differences: list[str]
    """Sentences about requests whose reported cost is not the sum of its parts."""


def verify(database: sqlite3.Connection) -> Findings:
    """Check all rows, and return the results."""
    database.execute("BEGIN")  # the entire check must see the same state of the file
    try:
        return _verify(database)
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _verify(database: sqlite3.Connection) -> Findings:
    ends: dict[str, tuple[int, bytes]] = {
        day: (count, chain)
        for day, count, chain in database.execute("SELECT day, rows, chain FROM days")
    }
    links: dict[str, tuple[int, bytes]] = {}
    broken: set[str] = set()
    sums: dict[Row, list[int]] = {}
    findings = Findings(0, [], [])
    count = 0
    for *values, stored in database.execute(
        f"SELECT {', '.join(COLUMNS)}, chain FROM requests ORDER BY id"  # noqa: S608  # constants
    ):
        count += 1
        row = tuple(values)
        day, request_id = row[INDEX["day"]], row[INDEX["request_id"]]
        number, previous = links.get(day, (0, b""))
        if next_hash(previous, row) != stored and day not in broken:
            broken.add(day)
            findings.changes.append(
                f"{day}: request {request_id}, or a row before it, was changed, removed or added."
            )
        links[day] = number + 1, stored
        add_to(sums, row)
        if difference := _difference(row):
            findings.differences.append(difference)
    for day in sorted(ends.keys() | links.keys()):
        if ends.get(day) != links.get(day) and day not in broken:
            findings.changes.append(f"{day}: rows at the end of the day were removed or added.")
    if _stored_sums(database) != {group: tuple(amounts) for group, amounts in sums.items()}:
        findings.changes.append("The sums differ from the rows.")
    return Findings(count, findings.changes[:_MAX_FINDINGS], findings.differences[:_MAX_FINDINGS])


def _difference(row: Row) -> str | None:
    """Return a sentence if the cost of a row is not the sum of its details."""
    details, nano = row[INDEX["details_json"]], row[INDEX["nano_aiu"]]
    if details is None or row[INDEX["cost_source"]] not in ("reported", "details"):
        return None
    try:
        decoded = msgspec.json.decode(details, type=dict)
    except msgspec.DecodeError:
        return f"Request {row[INDEX['request_id']]}: its details cannot be read."
    again = sum_of_details(decoded)
    if nano is None:
        return f"Request {row[INDEX['request_id']]}: its cost was reported, but is missing."
    # GitHub may round each part, so each part may differ by one nano-AIU.
    if again is None or abs(again - nano) <= len(decoded["token_details"]):
        return None
    return (
        f"Request {row[INDEX['request_id']]}: {nano} nano-AIU reported, but its details add up to "
        f"{again}."
    )


def _stored_sums(database: sqlite3.Connection) -> dict[Row, tuple[int, ...]]:
    stored = database.execute(
        f"SELECT {', '.join((*GROUPS, *AMOUNTS))}, first_us, last_us FROM sums"  # noqa: S608
    )
    return {row[: len(GROUPS)]: row[len(GROUPS) :] for row in stored}
