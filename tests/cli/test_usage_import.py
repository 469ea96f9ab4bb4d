"""``usage import copilot-cli``: requests recorded by Copilot CLI appear in the same views."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.ledger.writer import Writer
from copilot_proxy.settings import load_settings
from tests.cli.conftest import Cli
from tests.ledger.rows import record, row

# The tables of Copilot CLI 1.0.102, without the columns that the import ignores.
TABLES = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, cwd TEXT, repository TEXT);
CREATE TABLE assistant_usage_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, model TEXT NOT NULL,
    copilot_usage_model TEXT, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER,
    total_nano_aiu INTEGER, request_multiplier REAL, duration_ms INTEGER,
    time_to_first_token_ms INTEGER, initiator TEXT,
    api_endpoint TEXT, reasoning_effort TEXT, finish_reason TEXT, token_details_json TEXT,
    created_at TEXT DEFAULT (datetime('now'))
);
INSERT INTO sessions VALUES ('s1', '/home/me/secret', 'octo/hello'), ('s2', '/tmp', NULL);
"""
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "session_id": "s1",
    "model": "claude-opus-5.5",
    "input_tokens": 13203,
    "output_tokens": 43,
    "cache_read_tokens": 6601,
    "cache_write_tokens": 0,
    "total_nano_aiu": 2_858_820_000,
    "request_multiplier": 1.0,
    "duration_ms": 1300,
    "time_to_first_token_ms": 7.846901000000001,
    "initiator": "user",
    "api_endpoint": "/v1/messages",
    "reasoning_effort": "medium",
    "finish_reason": "tool_calls",
    "token_details_json": json.dumps(
        [
            {"batchSize": 1000000, "costPerBatch": 400000000000, "tokenCount": 6602,
             "tokenType": "input"},
            {"batchSize": 1000000, "costPerBatch": 20000000000, "tokenCount": 6601,
             "tokenType": "cache_read"},
            {"batchSize": 1000000, "costPerBatch": 2000000000000, "tokenCount": 43,
             "tokenType": "output"},
        ]
    ),
    "created_at": "2026-11-20T12:00:00.329Z",
}  # fmt: skip


class Store:
    """The database of Copilot CLI, which keeps it open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.database = sqlite3.connect(folder / "session-store.db", isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.executescript(TABLES)

    def add(self, **changes: Any) -> None:
        event = {**EVENT, **changes}
        self.database.execute(
            f"INSERT INTO assistant_usage_events ({', '.join(event)}) "  # noqa: S608
            f"VALUES ({', '.join('?' * len(event))})",
            list(event.values()),
        )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "copilot"))
    with closing((store := Store(tmp_path / "copilot")).database):
        yield store


def rows() -> list[dict[str, Any]]:
    with closing(sqlite3.connect(load_settings().ledger_file)) as database:
        database.row_factory = sqlite3.Row
        return [dict(one) for one in database.execute("SELECT * FROM requests ORDER BY id")]


def test_imported_requests(cli: Cli, store: Store) -> None:
    """Exact costs, token counts, sessions and repositories are imported, but no folders or text."""
    store.add()
    store.add(session_id="s2", model="gpt-6.1-sol", api_endpoint="ws:/responses",
              total_nano_aiu=None)  # fmt: skip
    store.add(session_id="s2", model="mystery", total_nano_aiu=None, token_details_json=None)
    ran = cli("usage", "import", "copilot-cli")

    assert "3 new requests from Copilot CLI" in ran.err
    first, second, third = rows()
    expected = {
        "client": "copilot-cli", "session": "s1", "project": "octo/hello", "api": "messages",
        "model": "claude-opus-5.5", "initiator": "user", "input_tokens": 6602,
        "cache_read_tokens": 6601, "output_tokens": 43, "nano_aiu": 2_858_820_000,
        "cost_source": "reported", "first_token_ms": 8, "month": "2026-11", "outcome": "ok",
    }  # fmt: skip
    assert expected == {name: first[name] for name in expected}
    assert 1_300_000 == first["ended_us"] - first["started_us"]
    assert ("details", 2_858_820_000) == (second["cost_source"], second["nano_aiu"])
    assert ("responses", None) == (second["api"], second["project"])
    assert ("unknown", None) == (third["cost_source"], third["nano_aiu"])
    assert "secret" not in json.dumps(rows(), default=str)
    assert 0 == cli("usage", "--verify").code
    shown = json.loads(cli("usage", "client", "--since", "2026-11-01", "--json").out)
    assert [("copilot-cli", 3)] == [(one["key"], one["requests"]) for one in shown["rows"]]


def test_importing_again(cli: Cli, store: Store) -> None:
    """Only new requests are added."""
    store.add()
    cli("usage", "import", "copilot-cli")
    store.add(created_at="2026-11-20T12:00:01.000Z")
    ran = cli("usage", "import", "copilot-cli")

    assert "1 new request from Copilot CLI; 1 already imported, 0 sent" in ran.err
    assert 2 == len(rows())


@pytest.mark.parametrize("client", ["openai-js", "copilot-cli"])
def test_requests_through_this_server(cli: Cli, store: Store, client: str) -> None:
    """Requests through this server are already in the ledger; a similar direct request is not."""
    own = record("own", credits=2.85882, model="claude-opus-5.5", tokens=(6602, 6601, 43),
                 client=client)  # fmt: skip
    writer = Writer(load_settings().ledger_file)
    writer.write([row(own, NOON.timestamp() + 1)])
    writer.close()
    store.add()
    store.add(created_at="2026-11-20T12:00:02.000Z")
    for _ in range(2):
        ran = cli("usage", "import", "copilot-cli")

    assert "0 new requests from Copilot CLI; 1 already imported, 1 sent" in ran.err
    assert 2 == len(rows())


def test_requests_to_other_providers(cli: Cli, store: Store) -> None:
    """The CLI also records requests to OpenAI or Ollama, which Copilot does not charge."""
    store.add(request_multiplier=0.0)
    store.add(request_multiplier=0.0, total_nano_aiu=None, token_details_json=None)
    ran = cli("usage", "import", "copilot-cli")

    assert "1 new request from Copilot CLI;" in ran.err
    assert "1 not charged by Copilot." in ran.err
    assert [2_858_820_000] == [one["nano_aiu"] for one in rows()]


def test_showing_an_imported_request(cli: Cli, store: Store) -> None:
    """The list shows an id that identifies the request, even in a long session."""
    for second in range(12):
        store.add(created_at=f"2026-11-20T12:00:{second:02}Z")
    cli("usage", "import", "copilot-cli")
    listed = [line.split()[0] for line in cli("usage", "show").out.splitlines()[1:]]

    assert [f"cli-{number}" for number in range(1, 13)] == listed
    for given in ("cli-1", "copilot-cli-s1-1"):
        assert "Request       copilot-cli-s1-1\n" in cli("usage", "show", given).out
    assert 1 == cli("usage", "show", "cli-13").code
    assert "Several request ids" in cli("usage", "show", "copilot-cli-s1-").err


@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": None},
        {"created_at": "yesterday"},
        {"duration_ms": "long"},
        {"time_to_first_token_ms": float("inf")},
    ],
    ids=str,
)
def test_values_in_another_format(cli: Cli, store: Store, changes: dict[str, Any]) -> None:
    """The error names the row, and nothing is imported."""
    store.add()
    store.add(**changes)
    ran = cli("usage", "import", "copilot-cli")

    assert (1, True) == (ran.code, "Row 2 of Copilot CLI's" in ran.err)
    assert "Only the format of Copilot CLI 1.0.102 is supported." in ran.err
    assert [] == rows()


def test_a_missing_column(cli: Cli, store: Store) -> None:
    store.database.execute("ALTER TABLE assistant_usage_events DROP COLUMN reasoning_effort")
    ran = cli("usage", "import", "copilot-cli")

    assert (1, True) == (ran.code, "no such column" in ran.err)


def test_a_locked_file(cli: Cli, store: Store) -> None:
    """While the CLI has locked its file, the advice is to try again."""
    store.database.execute("PRAGMA journal_mode = DELETE")
    store.database.execute("BEGIN EXCLUSIVE")
    ran = cli("usage", "import", "copilot-cli")

    assert (1, True) == (ran.code, "Another program is using it. Try again." in ran.err)


def test_nothing_to_import(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file, or with a different file, an error says what to do."""
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path))
    ran = cli("usage", "import", "copilot-cli")
    assert (1, True) == (ran.code, "COPILOT_HOME" in ran.err)
    (tmp_path / "session-store.db").write_bytes(b"nonsense" * 100)
    ran = cli("usage", "import", "copilot-cli")
    assert (1, True) == (ran.code, "cannot be imported" in ran.err)
    assert 2 == cli("usage", "import", "other").code
