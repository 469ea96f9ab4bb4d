"""Faults between the server and Copilot are reported to the client, once and correctly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.simulator.fault_answers import ANSWERS
from copilot_proxy.simulator.faults import BREAKS, STREAMS
from tests.faults.__main__ import short
from tests.faults.cells import NATIVE, TABLE, Cell, cells
from tests.faults.runner import run
from tests.faults.scripts import SCRIPTS
from tests.faults.setups import Setups
from tests.selection import covering

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
START, END = "<!-- printed by `make faults` -->\n\n", "\n<!-- end of the table -->"


def _fault(cell: Cell) -> object:
    """Return the fault and, if it makes a difference, whether the fault interrupts a stream."""
    fails_alike = cell.row.whole == cell.row.stream is not None
    return cell.row, cell.setup, None if fails_alike else cell.stream


def _outcome(cell: Cell) -> object:
    """Return what the client sees, and on which API if the answer is not translated."""
    return cell.expected, cell.route.name if cell.route in NATIVE else None


def _request(cell: Cell) -> object:
    """Return the request, and the servers that it is sent to."""
    return cell.setup, cell.route, cell.stream


@pytest.fixture(autouse=True)
def clean_environment() -> None:
    """Replaces the fixture of the same name, since all servers share one clean environment."""


@pytest.fixture(scope="module")
def setups() -> Iterator[Setups]:
    """Servers that all cells share."""
    with Setups() as setups:
        yield setups


@pytest.mark.parametrize("cell", covering(cells(), _fault, _outcome, _request), ids=str)
def test_fault(setups: Setups, cell: Cell) -> None:
    """The client receives the result in the table with a hint, and all output before the failure.

    Copilot receives as many requests as the table says; no task, connection or file is left open;
    and the next request is answered.
    """
    run(setups.get(cell.setup), cell)


def test_every_fault_is_in_the_table() -> None:
    """All faults of the simulator and of the connection are in the table."""
    causes = {row.cause.rpartition(":")[2] for row in TABLE}

    assert set() == {*ANSWERS, *BREAKS, *STREAMS, *SCRIPTS} - causes


def test_the_table_in_the_documents() -> None:
    """docs/reliability.md has the second table that `make faults` prints."""
    _, _, table = PAGE.read_text(encoding="utf-8").partition(START)
    table, _, _ = table.partition(END)

    assert list(short()) == table.splitlines()
