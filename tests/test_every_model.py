"""Every chat model of the simulator's catalogues answers on each of the three APIs, in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.simulator import CATALOGUES
from copilot_proxy.simulator.catalogue import DEFAULT_CATALOGUE
from tests.matrix import CASES, Matrix, models, running
from tests.matrix_clients import CLIENTS, Client

API_PAGE = Path(__file__).parent.parent / "docs" / "api.md"
START, END = "<!-- printed by `make matrix` -->\n\n", "\n<!-- end of the table -->"


def _cells() -> Iterator[object]:
    for name in CATALOGUES:
        for model in models(name):
            yield pytest.param(name, model, id=f"{name}-{model.id}")


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """One server for all cells of a catalogue; every cell is tested once."""
    with running(request.param) as matrix:
        yield matrix


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
@pytest.mark.parametrize(("matrix", "model"), list(_cells()), indirect=["matrix"])
def test_every_model_on_every_api(matrix: Matrix, model: Model, client: Client) -> None:
    """Text, streams, system prompts, tools, images, limits, usage and errors work."""
    failures = matrix.failures(model, client)

    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())


@pytest.mark.timeout(180)  # without the other tests, this tests every cell
@pytest.mark.parametrize("matrix", [DEFAULT_CATALOGUE], indirect=True)
def test_the_table_in_the_documents(matrix: Matrix) -> None:
    """docs/api.md shows what `make matrix` prints, and names all the cases."""
    _, _, section = API_PAGE.read_text(encoding="utf-8").partition("## Every model on every API\n")
    before, _, table = section.partition(START)
    table, _, _ = table.partition(END)

    assert list(matrix.lines()) == table.splitlines()
    assert [] == [name for name in CASES if name not in before]
