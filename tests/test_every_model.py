"""Every chat model of the simulator's catalogue answers on each of the three APIs, in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.catalogue import Model
from tests.matrix import CASES, Matrix, models, running
from tests.matrix_clients import CLIENTS, Client

API_PAGE = Path(__file__).parent.parent / "docs" / "api.md"
START, END = "<!-- printed by `make matrix` -->\n\n", "\n<!-- end of the table -->"


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    """One server for all cells; every cell is tested once."""
    with running() as matrix:
        yield matrix


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
@pytest.mark.parametrize("model", models(), ids=lambda model: model.id)
def test_every_model_on_every_api(matrix: Matrix, model: Model, client: Client) -> None:
    """Text, streams, system prompts, tools, images, limits, usage and errors work."""
    failures = matrix.failures(model, client)

    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())


@pytest.mark.timeout(180)  # without the other tests, this tests every cell
def test_the_table_in_the_documents(matrix: Matrix) -> None:
    """docs/api.md shows what `make matrix` prints, and names all the cases."""
    _, _, section = API_PAGE.read_text(encoding="utf-8").partition("## Every model on every API\n")
    before, _, table = section.partition(START)
    table, _, _ = table.partition(END)

    assert list(matrix.lines()) == table.splitlines()
    assert [] == [name for name in CASES if name not in before]
