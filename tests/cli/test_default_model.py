"""The warning about a configured default model that the account does not have."""

import json
from importlib import import_module

import httpx
import pytest

from copilot_proxy.catalogue import Alias, parse_models
from copilot_proxy.cli.default_model import default_model, default_model_warning
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.catalogues import RETIRES
from tests.cli.conftest import Cli
from tests.cli.terminals import Terminal, serve_while, sign_in

SAID = "The account has no model 'nope'; using "

CATALOGUE = parse_models(
    [
        {"id": "one", "is_chat_default": True},
        {"id": "two"},
        {"id": "old-1", "info_messages": RETIRES},
        {"id": "old-2"},
        {"id": "off", "policy": {"state": "disabled"}},
        {"id": "vectors", "capabilities": {"type": "embeddings"}},
    ]
)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in and an unknown default model."""
    sign_in(monkeypatch, simulator)
    monkeypatch.setenv("COPILOT_PROXY_DEFAULT_MODEL", "nope")
    return simulator


@pytest.mark.parametrize(
    ("wanted", "used", "said"),
    [
        (None, "one", None),
        ("two", "two", None),
        ("default", "one", None),
        ("mine", "two", None),
        ("old-1", "old-1", "old-1 retires on 2026-12-14; use old-2 instead."),
        ("old-0", "old-2", "The account has no model 'old-0'; using old-2 as the default."),
        ("nope", "one", "The account has no model 'nope'; using one as the default."),
        ("off", "one", "The model 'off' must be enabled first; using one as the default."),
        (
            "vectors",
            "one",
            "The model 'vectors' is for embeddings, not for chat; using one as the default.",
        ),
    ],
)
def test_the_meaning_of_default(wanted: str | None, used: str, said: str | None) -> None:
    """The default may also be an alias; only a configured default can cause a warning."""
    settings = load_settings({"default_model": wanted, "aliases": {"mine": Alias("two")}}, {})
    model = default_model(CATALOGUE, settings)
    assert model is not None
    assert model.id == used
    assert default_model_warning(CATALOGUE, settings) == said


def test_an_account_without_any_model_for_chat() -> None:
    """Without a chat model, there is no default."""
    none = parse_models([{"id": "vectors", "capabilities": {"type": "embeddings"}}])
    assert default_model_warning(none, load_settings({"default_model": "nope"}, {})) is None


@pytest.fixture
def nothing_piped(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(import_module("copilot_proxy.cli.chat"), "piped_text", lambda: None)
    return cli


def test_models_and_chat(nothing_piped: Cli) -> None:
    """The warning goes to stderr, unless --model is given."""
    cli = nothing_piped
    assert SAID in cli("models").err
    assert SAID in cli("chat", "Hi").err
    assert SAID not in cli("chat", "Hi", "-m", "gpt-5-mini").err


def test_a_list_that_cannot_be_loaded(nothing_piped: Cli, account: Simulator) -> None:
    """If the model list cannot be loaded, there is no warning."""
    account.state.faults.on("models_500")
    ran = nothing_piped("chat", "Hi")
    assert SAID not in ran.err
    assert "unexpected" not in ran.err


def test_a_conversation() -> None:
    """The warning comes before the first question."""
    with Terminal("chat") as terminal:
        terminal.wait_for_prompt()
        assert SAID in terminal.text


@pytest.mark.parametrize("form", ["text", "json"])
def test_serve(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """`serve` prints the warning once, in the format of the log, when it starts."""

    def use(client: httpx.Client) -> None:
        pass

    assert serve_while(use, "--log-format", form) == 0
    lines = capsys.readouterr().err.splitlines()
    warnings = [line for line in lines if SAID in line]
    assert len(warnings) == 1
    if form == "json":
        assert json.loads(warnings[0])["event"] == "default_model"


def test_a_model_chosen_in_a_conversation_is_checked_at_once(account: Simulator) -> None:
    """The chosen model must exist, support chat and be enabled."""
    with Terminal("chat") as terminal:
        terminal.wait_for_prompt()
        for name, said in (
            ("nope", "does not exist"),
            ("text-embedding-3-small", "is for embeddings, not for chat."),
            ("raptor-mini", "raptor-mini must be enabled"),
        ):
            terminal.type(f"/model {name}")
            terminal.wait_for(said)
            terminal.wait_for_prompt()
        terminal.press("d")
        assert terminal.end() == 0
