"""A default model that the account does not have is told wherever it matters."""

import json
from importlib import import_module

import httpx
import pytest

from copilot_proxy.catalogue import Alias, parse_models
from copilot_proxy.cli.default_model import default_model, default_model_warning
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Cli
from tests.cli.terminals import Terminal, serve_while, sign_in

SAID = "The account has no model 'nope'; default means "

CATALOGUE = parse_models(
    [
        {"id": "one", "is_chat_default": True},
        {"id": "two"},
        {"id": "off", "policy": {"state": "disabled"}},
        {"id": "vectors", "capabilities": {"type": "embeddings"}},
    ]
)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the person signed in to it, and a default that it does not have."""
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
        ("nope", "one", "The account has no model 'nope'; default means one."),
        ("off", "one", "The model 'off' needs enabling; default means one."),
        (
            "vectors",
            "one",
            "The model 'vectors' is for embeddings, not for chat; default means one.",
        ),
    ],
)
def test_what_default_means(wanted: str | None, used: str, said: str | None) -> None:
    """One rule, with aliases; nothing is said about a default that nobody has set."""
    settings = load_settings({"default_model": wanted, "aliases": {"mine": Alias("two")}}, {})
    model = default_model(CATALOGUE, settings)
    assert model is not None
    assert model.id == used
    assert default_model_warning(CATALOGUE, settings) == said


def test_an_account_without_any_model_for_chat() -> None:
    """There is nothing that default could mean."""
    none = parse_models([{"id": "vectors", "capabilities": {"type": "embeddings"}}])
    assert default_model_warning(none, load_settings({"default_model": "nope"}, {})) is None


@pytest.fixture
def nothing_piped(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(import_module("copilot_proxy.cli.chat"), "piped_text", lambda: None)
    return cli


def test_models_and_chat(nothing_piped: Cli) -> None:
    """On stderr; whoever names a model does not care."""
    cli = nothing_piped
    assert SAID in cli("models").err
    assert SAID in cli("chat", "Hi").err
    assert SAID not in cli("chat", "Hi", "-m", "gpt-5-mini").err


def test_a_list_that_cannot_be_had(nothing_piped: Cli, account: Simulator) -> None:
    """Then nothing is said."""
    account.state.faults.on("models_500")
    ran = nothing_piped("chat", "Hi")
    assert SAID not in ran.err
    assert "unexpected" not in ran.err


def test_a_conversation() -> None:
    """Before the first question."""
    with Terminal("chat") as terminal:
        terminal.wait_for_prompt()
        assert SAID in terminal.text


@pytest.mark.parametrize("form", ["text", "json"])
def test_serve(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """A line when the server starts."""

    def use(client: httpx.Client) -> None:
        pass

    assert serve_while(use, "--log-format", form) == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if SAID in line]
    assert len(told) == 1
    if form == "json":
        assert json.loads(told[0])["event"] == "default_model"


def test_a_model_in_a_conversation_is_checked_at_once(account: Simulator) -> None:
    """Whether it exists, is for chat, and may be used."""
    with Terminal("chat") as terminal:
        terminal.wait_for_prompt()
        for name, said in (
            ("nope", "does not exist"),
            ("text-embedding-3-small", "is for embeddings, not for chat."),
            ("raptor-mini", "raptor-mini needs enabling"),
        ):
            terminal.type(f"/model {name}")
            terminal.wait_for(said)
            terminal.wait_for_prompt()
        terminal.press("d")
        assert terminal.end() == 0
