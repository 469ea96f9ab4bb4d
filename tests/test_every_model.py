"""Every chat model in the simulator's catalogues supports each API completely."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.apis import choose, client_apis
from copilot_proxy.formats.model_profiles import Api
from copilot_proxy.simulator import CATALOGUES
from copilot_proxy.simulator.catalogue import DEFAULT_CATALOGUE
from tests.matrix import CASES, HEAD, Matrix, models, running
from tests.matrix_clients import EVERY_CLIENT, Client
from tests.selection import covering, traits

API_PAGE = Path(__file__).parent.parent / "docs" / "api.md"
START, END = "<!-- printed by `make matrix` -->\n\n", "\n<!-- end of the table -->"


class Cell(NamedTuple):
    """A model of a catalogue on an API."""

    catalogue: str
    model: Model
    client: Client


def _called(cell: Cell) -> Api:
    """Return which of Copilot's APIs is called in the cell."""
    client = next(api for api in client_apis() if api.name == cell.client.api)
    return cast("Api", choose(client, cell.model).name)


CELLS = covering(
    (
        Cell(name, model, client)
        for client in EVERY_CLIENT
        for name in CATALOGUES
        for model in models(name)
    ),
    lambda cell: (cell.client.api, _called(cell)),
    lambda cell: traits(cell.model, _called(cell)),
)


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """One server for all cells of a catalogue; every cell is tested once."""
    with running(request.param) as matrix:
        yield matrix


@pytest.mark.parametrize(
    ("matrix", "model", "client"),
    CELLS,
    indirect=["matrix"],
    ids=[f"{cell.catalogue}-{cell.model.id}-{cell.client.api}" for cell in CELLS],
)
def test_every_model_on_every_api(matrix: Matrix, model: Model, client: Client) -> None:
    """Text, streams, system prompts, tools, images, limits, usage and errors work.

    The results match the table in docs/api.md, which `make matrix` prints.
    """
    failures = matrix.failures(model, client)

    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())
    if matrix.name == DEFAULT_CATALOGUE:
        row = next(line for line in _documented() if f"`{model.id}`" in line)
        shown = row.strip("| ").split(" | ")[1 + EVERY_CLIENT.index(client)]
        assert matrix.shown(model, client) == shown


def _documented() -> list[str]:
    """Return the lines of the table in docs/api.md."""
    _, _, table = API_PAGE.read_text(encoding="utf-8").partition(START)
    return table.partition(END)[0].splitlines()


def test_the_table_in_the_documents() -> None:
    """The table in docs/api.md contains each model once, and the text names all the cases."""
    text = API_PAGE.read_text(encoding="utf-8")
    _, _, section = text.partition("## Every model on every API\n")
    before, _, _ = section.partition(START)

    first, second, *rows = _documented()
    assert HEAD == (first, second)
    assert sorted(f"`{model.id}`" for model in models(DEFAULT_CATALOGUE)) == sorted(
        name for row in rows for name in row.split(" | ")[0].removeprefix("| ").split(", ")
    )
    assert [] == [name for name in CASES if name not in before]
