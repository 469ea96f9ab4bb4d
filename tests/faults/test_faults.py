"""Faults between the server and Copilot are reported to the client, once and correctly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.simulator.fault_answers import ANSWERS
from copilot_proxy.simulator.faults import BREAKS, STREAMS
from tests.faults.__main__ import short
from tests.faults.cells import TABLE, Cell, cells
from tests.faults.runner import run
from tests.faults.scripts import SCRIPTS
from tests.faults.stands import Stands

FAILING = {"session_limit": "a time to wait that is only in the text is not read"}
"""Fault -> why what the table says of it is not true yet."""
CELLS = [
    pytest.param(cell, marks=pytest.mark.xfail(strict=True, reason=FAILING[cell.row.made]))
    if cell.row.made in FAILING
    else cell
    for cell in cells()
]
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
START, END = "<!-- printed by `make faults` -->\n\n", "\n<!-- end of the table -->"


@pytest.fixture(autouse=True)
def clean_environment() -> None:
    """The servers have a shared clean environment."""


@pytest.fixture(scope="module")
def stands() -> Iterator[Stands]:
    """Servers that all cells share."""
    with Stands() as stands:
        yield stands


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_fault(stands: Stands, cell: Cell) -> None:
    """The client sees what the table says, with a hint; what came before is intact; Copilot is
    asked as often as the table says; no task, connection or file stays behind; and the next
    request is answered."""
    run(stands.get(cell.stand), cell)


def test_every_fault_is_in_the_table() -> None:
    """All faults of the simulator and of the wire are in the table."""
    made = {row.made.rpartition(":")[2] for row in TABLE}

    assert set() == {*ANSWERS, *BREAKS, *STREAMS, *SCRIPTS} - made


def test_the_table_in_the_documents() -> None:
    """docs/reliability.md shows what `make faults` prints last."""
    _, _, table = PAGE.read_text(encoding="utf-8").partition(START)
    table, _, _ = table.partition(END)

    assert list(short()) == table.splitlines()
