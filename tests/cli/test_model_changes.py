"""``models --changed``: models that are new, removed or retiring, or have a new price."""

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.catalogues import entry
from tests.cli.conftest import Cli
from tests.cli.terminals import sign_in

BEFORE = [
    "claude-sonnet-5 versatile medium 200 1000",
    "gpt-6-luna lightweight low 20 120",
    "gpt-6-sol versatile medium 200 1000",
    "kimi-k3 powerful high 300 1500",
]
AFTER = [
    "claude-sonnet-5 versatile medium 200 1000 retires",
    "claude-sonnet-6 versatile medium 150 700",
    "gpt-6-luna lightweight low 10 50",
    "gpt-6.1-sol versatile medium 200 1000",
    "kimi-k3 powerful high 300 1500",
]


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """The file that stores the list."""
    return tmp_path / "home" / "models-seen.json"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator, seen: Path) -> Simulator:
    """An account whose model list changes."""
    sign_in(monkeypatch, simulator)
    simulator.state.catalogue = [entry(line) for line in BEFORE]
    return simulator


def change(account: Simulator) -> None:
    account.state.catalogue = [entry(line) for line in AFTER]


def test_changes(cli: Cli, account: Simulator, seen: Path) -> None:
    """Each change is one line, with the successor of a removed model; then the list is saved."""
    first = cli("models", "--changed")
    assert (0, "") == (first.code, first.out)
    assert "The list of 4 models was saved for the next comparison." in first.err
    assert "Nothing has changed since 20" in cli("models", "--changed").err

    change(account)
    ran = cli("models", "--changed")
    assert [
        "added    claude-sonnet-6 ($1.50/$7)",
        "added    gpt-6.1-sol ($2/$10)",
        "removed  gpt-6-sol; its successor is gpt-6.1-sol",
        "retires  claude-sonnet-5 on 2026-12-14; use claude-sonnet-6 instead",
        "price    gpt-6-luna: was $0.20/$1.20, now $0.10/$0.50",
    ] == ran.out.splitlines()
    assert "Compared with the list from 20" in ran.err
    assert "" == cli("models", "--changed").out
    if sys.platform != "win32":
        assert 0o600 == stat.S_IMODE(seen.stat().st_mode)
    assert ["models-seen.json"] == [
        name for name in os.listdir(seen.parent) if "seen" in name and ".lock" not in name
    ]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows cannot change the time zone")
def test_local_time(cli: Cli, seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the earlier list is shown in the user's time zone."""
    cli("models", "--changed")
    saved = json.loads(seen.read_text(encoding="utf-8"))
    for host in saved.values():
        host["at"] = "2026-11-29T23:30:00Z"
    seen.write_text(json.dumps(saved), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        ran = cli("models", "--changed")
    time.tzset()
    assert "Nothing has changed since 2026-11-30 08:30." in ran.err


def test_json(cli: Cli, account: Simulator) -> None:
    """Programs receive the same data; the first run reports no changes."""
    nothing: dict[str, Any] = {"added": [], "gone": [], "retiring": [], "prices": []}
    first = json.loads(cli("models", "--changed", "--json").out)
    assert nothing == {name: value for name, value in first.items() if name != "since"}

    change(account)
    found = json.loads(cli("models", "--changed", "--json").out)
    assert ["claude-sonnet-6", "gpt-6.1-sol"] == [one["id"] for one in found["added"]]
    assert [{"id": "gpt-6-sol", "successor": "gpt-6.1-sol"}] == found["gone"]
    assert [
        {"id": "claude-sonnet-5", "retires_on": "2026-12-14", "successor": "claude-sonnet-6"}
    ] == found["retiring"]
    assert [{"id": "gpt-6-luna", "before": "$0.20/$1.20", "now": "$0.10/$0.50"}] == found["prices"]


def test_the_size_is_remembered(cli: Cli, account: Simulator) -> None:
    """A removed model's successor has the same size, whatever its name suggests."""
    account.state.catalogue.append(entry("gpt-5.5 powerful medium 200 1000"))
    cli("models", "--changed")
    change(account)
    account.state.catalogue.append(entry("gpt-6.1-large powerful medium 200 1000"))

    assert "removed  gpt-5.5; its successor is gpt-6.1-large" in cli("models", "--changed").out


def test_the_first_list_is_remembered(cli: Cli, account: Simulator, seen: Path) -> None:
    """`models` saves the first list that it shows, and leaves later ones to --changed."""
    assert 0 == cli("models").code
    change(account)
    assert 0 == cli("models").code
    assert "added    gpt-6.1-sol" in cli("models", "--changed").out


def test_another_account(cli: Cli, account: Simulator) -> None:
    """The simulator's models are not compared with the account's."""
    assert 0 == cli("models").code
    simulated = cli("models", "--changed", "--simulate")
    assert "was saved for the next comparison" in simulated.err
    assert "" == simulated.out
    assert "Nothing has changed" in cli("models", "--changed").err


@pytest.mark.parametrize("content", ["", "[]", '{"127.0.0.1": 5}', '{"127.0.0.1": {"at": 1}}'])
def test_a_damaged_file(cli: Cli, seen: Path, content: str) -> None:
    """A damaged file counts as missing, and is replaced."""
    seen.parent.mkdir(exist_ok=True)
    seen.write_text(content, encoding="utf-8")
    assert "was saved" in cli("models", "--changed").err
    assert "Nothing has changed" in cli("models", "--changed").err


def test_a_file_that_cannot_be_written(cli: Cli, seen: Path) -> None:
    """`models` works as before, and --changed says why it cannot remember."""
    (seen / "in the way").mkdir(parents=True)
    assert 0 == cli("models").code
    ran = cli("models", "--changed")
    assert 1 == ran.code
    assert "models-seen.json cannot be written: " in ran.err
    assert ["models-seen.json"] == [
        name for name in os.listdir(seen.parent) if "seen" in name and ".lock" not in name
    ]


@pytest.mark.parametrize("more", [["opus"], ["--all"]])
def test_not_with_a_filter(cli: Cli, more: list[str]) -> None:
    """A filtered list cannot be compared."""
    assert 2 == cli("models", "--changed", *more).code
