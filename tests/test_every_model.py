"""Every chat model of the simulator's catalogues answers on each of the APIs, in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.simulator import CATALOGUES
from copilot_proxy.simulator.catalogue import DEFAULT_CATALOGUE
from tests.matrix import CASES, HEAD, Matrix, models, running
from tests.matrix_clients import EVERY_CLIENT, Client

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


@pytest.mark.parametrize("client", EVERY_CLIENT, ids=lambda client: client.api)
@pytest.mark.parametrize(("matrix", "model"), list(_cells()), indirect=["matrix"])
def test_every_model_on_every_api(matrix: Matrix, model: Model, client: Client) -> None:
    """Text, streams, system prompts, tools, images, limits, usage and errors work, as docs/api.md
    says: it has the table that `make matrix` prints."""
    failures = matrix.failures(model, client)

    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())
    if matrix.name == DEFAULT_CATALOGUE:
        row = next(line for line in _documented() if line.startswith(f"| `{model.id}` |"))
        shown = row.strip("| ").split(" | ")[1 + EVERY_CLIENT.index(client)]
        assert matrix.shown(model, client) == shown


def _documented() -> list[str]:
    """Return the lines of the table in docs/api.md."""
    _, _, table = API_PAGE.read_text(encoding="utf-8").partition(START)
    return table.partition(END)[0].splitlines()


def test_the_table_in_the_documents() -> None:
    """docs/api.md has a row for each model, and names all the cases."""
    text = API_PAGE.read_text(encoding="utf-8")
    _, _, section = text.partition("## Every model on every API\n")
    before, _, _ = section.partition(START)

    first, second, *rows = _documented()
    assert HEAD == (first, second)
    assert [f"`{model.id}`" for model in models(DEFAULT_CATALOGUE)] == [
        row.split(" | ")[0].removeprefix("| ") for row in rows
    ]
    assert [] == [name for name in CASES if name not in before]
