"""``models``: the table of models, and its JSON."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.cli import model_table
from copilot_proxy.cli.prices import price_text
from copilot_proxy.simulator import Simulator
from tests.catalogues import entry
from tests.cli.conftest import Cli
from tests.cli.terminals import Terminal, sign_in
from tests.selection import sample


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


def model(**more: object) -> Model:
    return next(iter(parse_models([{"id": "a-model", **more}])))


def row(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(name + " "))


def test_the_table(cli: Cli) -> None:
    """Each model has a row with the facts that matter when choosing; explanations go to stderr."""
    ran = cli("models")
    assert ran.code == 0
    assert ran.out.startswith("MODEL ")
    assert " ".join(row(ran.out, "claude-opus-4.7").split()) == (
        "claude-opus-4.7 Claude Opus 4.7 Anthropic 264k 64k yes yes yes $5/$25 chat messages "
        "enabled"
    )
    assert "needs enabling" in row(ran.out, "raptor-mini")
    assert "preview" in row(ran.out, "gemini-3.1-pro-preview")
    assert "1M" in row(ran.out, "claude-opus-4.6-1m")
    assert "text-embedding" not in ran.out
    assert re.search(r"Default model: claude-sonnet-[\d.]+$", ran.err, re.M)
    assert "To enable raptor-mini: https://github.com/settings/copilot/features" in ran.err
    assert "Ready for chat: 32 of 33; 17 more models with --all." in ran.err


def test_retiring_models(cli: Cli, account: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default, retiring models, their dates and their successors are marked."""
    account.state.catalogue = [
        entry("claude-sonnet-5 versatile medium 200 1000 retires"),
        entry("claude-sonnet-6 versatile medium 200 1000"),
        entry("gpt-9 versatile medium 200 1000 disabled"),
        {
            **entry("grok-4 versatile medium 200 600"),
            "warning_messages": [{"code": "model_deprecated", "message": "It is going."}],
        },
    ]
    ran = cli("models")
    assert row(ran.out, "claude-sonnet-5").endswith("  enabled, retires 2026-12-14")
    assert row(ran.out, "claude-sonnet-6").endswith("  enabled, default")
    assert row(ran.out, "gpt-9").endswith("  needs enabling")
    assert row(ran.out, "grok-4").endswith("  enabled, retires soon")
    assert "claude-sonnet-5 retires on 2026-12-14; use claude-sonnet-6 instead.\n" in ran.err
    assert "grok-4 retires soon.\n" in ran.err
    listed = {one["id"]: one for one in json.loads(cli("models", "--json").out)}
    assert "2026-12-14" == listed["claude-sonnet-5"]["retires_on"]
    assert [True, True] == [listed[name]["deprecated"] for name in ("claude-sonnet-5", "grok-4")]
    assert ["claude-sonnet-6"] == [name for name, one in listed.items() if "default" in one]
    monkeypatch.setenv("COPILOT_PROXY_DEFAULT_MODEL", "claude-sonnet-5")
    assert 1 == cli("models").err.count("claude-sonnet-5 retires on 2026-12-14")


def test_aliases(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own names are listed below the table."""
    assert "aliases" not in cli("models").err
    monkeypatch.setenv("COPILOT_PROXY_ALIASES", "fast=gpt-5-mini,smart=claude-opus-4.7")
    ran = cli("models")
    assert "Your aliases: fast (gpt-5-mini), smart (claude-opus-4.7)" in ran.err


def test_columns_are_aligned(cli: Cli) -> None:
    """There is no box, and each column starts below its title."""
    heading, *rows = cli("models").out.splitlines()
    at = heading.index("STATE")
    assert {line[at - 2 : at] for line in rows} == {"  "}
    states = {"enabled", "preview", "needs enabling", "default"}
    assert all({*line[at:].split(", ")} <= states for line in rows)


def test_a_filter(cli: Cli) -> None:
    """The filter matches text in the id, name or vendor, ignoring case."""
    assert len(cli("models", "OPUS 4.7").out.splitlines()) == 2
    assert "grok" in cli("models", "xai").out
    assert "hidden" not in cli("models", "opus").err


def test_a_filter_finds_models_that_are_not_in_the_picker(cli: Cli) -> None:
    """A model that the filter matches is shown even if Copilot's picker omits it."""
    assert "text-embedding-3-small" in cli("models", "embedding").out


def test_models_that_are_not_in_the_picker(cli: Cli) -> None:
    """A note says that models outside the picker can be used, and embedding models are counted."""
    ran = cli("models", "--all")
    line = next(
        one for one in ran.err.splitlines() if one.startswith("Not in Copilot's model picker")
    )

    assert "llama-4-scout" in line
    assert "text-embedding" not in ran.err
    assert re.search(r"^Ready for chat: (\d+) of \d+; \d embedding models\.$", ran.err, re.M)


def test_nothing_matches(cli: Cli) -> None:
    """The error says how to list all models."""
    ran = cli("models", "nonsense")
    assert (ran.code, ran.out) == (1, "")
    assert "No model matches 'nonsense'." in ran.err


def test_no_models_for_chat(cli: Cli, account: Simulator) -> None:
    """An account without chat models receives an error that says so."""
    account.state.catalogue = [{"id": "e", "capabilities": {"type": "embeddings"}}]
    assert "The account has no chat models." in cli("models").err
    ran = cli("models", "--all")
    assert ran.out.splitlines()[1].split() == [
        "e",
        "e",
        "unknown",
        *("-",) * 6,
        "embeddings",
        "enabled",
    ]


def test_all(cli: Cli) -> None:
    """Embedding models, and models with a date in their names, are listed with --all."""
    ran = cli("models", "--all")
    assert row(ran.out, "text-embedding-3-small").split()[-2:] == ["embeddings", "enabled"]
    assert "gpt-4o-2024-11-20" in ran.out
    assert "--all" not in ran.err


def test_json(cli: Cli) -> None:
    """stdout contains the objects of /v1/models and nothing else."""
    ran = cli("models", "--json", "gpt-4o")
    found = json.loads(ran.out)
    assert found[0]["object"] == "model"
    assert {one["id"] for one in found} >= {"gpt-4o", "gpt-4o-2024-11-20"}
    assert ran.err == ""


def test_simulated(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account is needed."""
    monkeypatch.delenv("COPILOT_PROXY_GITHUB_TOKEN")
    ran = cli("models")
    assert ran.code == 3
    assert "copilot-proxy models --simulate" in ran.err
    assert "claude-sonnet-5.5" in cli("models", "--simulate").out
    assert "copilot-proxy models --simulate --all" in cli("models", "--simulate", "zzz").err


def test_malformed_entries_do_not_hide_others(cli: Cli, account: Simulator) -> None:
    """Malformed entries in GitHub's list do not hide the others."""
    account.state.catalogue += [
        {
            "id": "odd\x1b[31m",
            "name": 5,
            "model_picker_enabled": True,
            "billing": {"multiplier": "x", "token_prices": []},
            "supported_endpoints": ["/v9/dreams", "/responses"],
            "capabilities": {"limits": {"max_output_tokens": "many"}, "supports": {"vision": 1}},
        },
        {
            "id": "short",
            "model_picker_enabled": True,
            "capabilities": {"limits": {"max_output_tokens": 500}},
        },
        {"id": "weit", "name": "日本語", "model_picker_enabled": True},
        {"id": "[red]m", "name": ":smile:", "model_picker_enabled": True},
    ]
    ran = cli("models")
    assert "odd?[31m" in ran.out
    assert ":smile:" in row(ran.out, "[red]m")
    assert " 500 " in row(ran.out, "short")
    heading = ran.out.splitlines()[0]
    # The name has three characters but is six columns wide.
    assert row(ran.out, "weit").index("unknown") == heading.index("VENDOR") - 3


@pytest.mark.parametrize(
    ("columns", "shown", "dropped"),
    sample(
        [
            (200, ["NAME", "VENDOR", "STATE"], []),
            (80, ["MODEL", "CONTEXT", "PRICE", "STATE"], ["NAME", "VENDOR"]),
            (40, ["MODEL", "PRICE"], ["NAME", "STATE"]),
            (10, ["MODEL"], ["PRICE"]),
        ],
        alike=lambda case: case[0] > 40,
    ),
)
def test_a_narrow_terminal(columns: int, shown: list[str], dropped: list[str]) -> None:
    """Columns that do not fit are dropped, least important first; no line wraps."""
    with Terminal("models", columns=columns, lines=60) as terminal:
        assert terminal.end() == 0
        heading = next(line for line in terminal.lines if line.startswith("MODEL")).split()
        assert [name for name in shown if name not in heading] == []
        assert [name for name in dropped if name in heading] == []
        if columns >= 40:
            assert "claude-sonnet-" in terminal.text
            note = terminal.text.partition("To see ")[2]
            assert [name for name in dropped if name not in note] == []


def test_the_heading_is_bold() -> None:
    """The heading is bold only on a terminal, and lines have no trailing spaces."""
    with Terminal("models", columns=200) as terminal:
        assert terminal.end() == 0
    heading, first, *_ = terminal.written.splitlines()
    assert heading.startswith(b"\x1b[1mMODEL ")
    assert first.endswith(b"enabled")


def test_light_imports(program: Callable[..., object]) -> None:
    """The table needs no web framework and no server."""
    code = (
        "import sys\n"
        "from copilot_proxy.cli.main import run\n"
        "from copilot_proxy.cli.startup import speed_up_startup\n"
        "speed_up_startup()\n"
        "assert run(['models']) == 0\n"
        "assert 'rich' not in sys.modules\n"
        "assert run(['chat', 'Hi']) == 0\n"
        "print(sorted({'litestar', 'uvicorn', 'rich.markdown'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("billing", "price"),
    [
        ({"multiplier": 1}, "1x"),
        ({"multiplier": 0.33}, "0.33x"),
        ({"multiplier": 0}, "included"),
        ({"multiplier": True}, ""),
        ({"multiplier": -1}, ""),
        ({}, ""),
        (
            {
                "multiplier": 3,
                "token_prices": {
                    "batch_size": 1_000_000,
                    "default": {"input_price": 500, "output_price": 2500},
                },
            },
            "$5/$25",
        ),
        (
            {"token_prices": {"input_price": 12_500_000_000, "output_price": 500_000_000}},
            "$0.12/$0.005",
        ),
        (
            {"token_prices": {"batch_size": 1000, "input_price": 1e9, "output_price": 2e9}},
            "$10/$20",
        ),
        ({"token_prices": {"input_price": 0, "output_price": 0}}, "included"),
    ],
)
def test_prices(billing: dict[str, object], price: str) -> None:
    """Tokens are priced in dollars per million, and requests by their multiplier.

    Without tiers, GitHub's numbers are nano-AIU.
    """
    assert price_text(model(billing=billing)) == price


def test_apis() -> None:
    """The APIs have the names that this server uses; unknown APIs are left out."""
    assert model_table.apis(model(supported_endpoints=["/v1/messages", "/chat/completions"])) == (
        "chat messages"
    )
    assert model_table.apis(model()) == "chat"


def test_reasoning() -> None:
    """Every indication of reasoning support in the list is recognized."""
    column = next(column for column in model_table.COLUMNS if column.title == "REASONING")
    for supports in (
        {"reasoning_effort": ["low"]},
        {"adaptive_thinking": True},
        {"max_thinking_budget": 1024},
    ):
        assert column.cell(model(capabilities={"supports": supports})) == "yes"
    assert column.cell(model()) == "-"
