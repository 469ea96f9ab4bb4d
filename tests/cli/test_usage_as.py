"""``usage --as``: whose prices are used, and when Copilot is asked for them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.cost.price_table import table_date
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.private_files import replace_private
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.cli.conftest import Cli
from tests.ledger.rows import record, row

MODEL = "claude-opus-5"


@pytest.fixture
def change_list(
    own_home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """A ledger with one request, a sign-in, and a function that edits the stored model list."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)
    writer = Writer(load_settings().ledger_file)
    writer.write([row(record("one", tokens=(1000, 0, 1000)), datetime.now(UTC).timestamp())])
    writer.close()
    path = own_home / "model-list.json"

    def change(edit: Callable[[dict[str, Any]], None]) -> None:
        content = json.loads(path.read_bytes())
        edit(content)
        path.write_text(json.dumps(content))

    return change


def lists(simulator: Simulator) -> int:
    """Return how often the model list was requested."""
    return sum(one.path == "/models" for one in simulator.state.requests)


def age(content: dict[str, Any]) -> None:
    """Make the stored list two days old."""
    content["at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()


def test_copilot_is_asked_once_a_day(
    cli: Cli, simulator: Simulator, change_list: Callable[..., None]
) -> None:
    """The first use of a day asks for the model list; aliases and families work without asking."""
    first = cli("usage", "--as", "opus", "--json")
    assert (0, 1) == (first.code, lists(simulator)), first.err
    assert first.out == cli("usage", "--as", "opus", "--json").out
    assert 1 == lists(simulator)

    change_list(age)
    assert first.out == cli("usage", "--as", "opus", "--json").out
    assert 2 == lists(simulator)


def test_a_list_from_the_future(
    cli: Cli, simulator: Simulator, change_list: Callable[..., None]
) -> None:
    """After the clock was set back, the list is not used for longer than a day."""
    cli("models")
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    change_list(lambda content: content.update(at=later))
    assert 0 == cli("usage", "--as", "opus").code
    assert 2 == lists(simulator)


def test_models_stores_the_list(
    cli: Cli, simulator: Simulator, change_list: Callable[..., None]
) -> None:
    """After `models`, no further request is needed."""
    assert 0 == cli("models").code
    assert 0 == cli("usage", "--as", "opus").code
    assert 1 == lists(simulator)


def test_an_unknown_model_may_be_new(
    cli: Cli, simulator: Simulator, change_list: Callable[..., None]
) -> None:
    """A model that the stored list lacks is looked up in Copilot's current list."""
    cli("models")
    missing = cli("usage", "--as", "gpt-99")
    assert (1, "The model `gpt-99` does not exist" in missing.err) == (missing.code, True)
    assert lists(simulator) >= 2


def test_without_a_connection(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, change_list: Callable[..., None]
) -> None:
    """An old list is better than none, and its date is shown."""
    online = cli("usage", "--as", "opus")
    assert "cannot be read" not in online.err

    change_list(age)
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_API_URL", "http://127.0.0.1:9")
    offline = cli("usage", "--as", "opus")
    day = f"{(datetime.now(UTC) - timedelta(days=2)).astimezone():%Y-%m-%d}"
    assert (0, online.out) == (offline.code, offline.out)
    assert "Copilot's model list cannot be read, so the prices are those of" in offline.err
    assert f"{day}." in offline.err


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "x", "at": "y", "data": []}'])
def test_the_bundled_table_is_the_last_resort(
    cli: Cli, own_home: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Without a sign-in and with a damaged stored list, the prices come from the bundled table."""
    monkeypatch.delenv("COPILOT_PROXY_GITHUB_TOKEN", raising=False)
    replace_private(own_home / "model-list.json", content.encode())
    ran = cli("usage", "--as", MODEL)
    assert 0 == ran.code, ran.err
    assert f"the prices are those of {table_date()}." in ran.err


def test_another_host(cli: Cli, simulator: Simulator, change_list: Callable[..., None]) -> None:
    """The list of another GitHub host is not used."""
    cli("models")
    change_list(lambda content: content.update(host="octo.ghe.com"))
    assert 0 == cli("usage", "--as", "opus").code
    assert 2 == lists(simulator)
