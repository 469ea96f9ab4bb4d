"""Each client definition points its client at the server, and is in docs/clients.md."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from copilot_proxy.attribution import identify_client
from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.clients.codex import model_list
from copilot_proxy.clients.models import ClientModel, parse_models
from copilot_proxy.clients.registry import CLIENTS, RUNNABLE, any_program, find_client
from copilot_proxy.clients.request_headers import SESSION_HEADERS, USER_AGENTS
from tests import client_table

DOCS = Path(__file__).parents[1] / "docs" / "clients.md"
URL = "http://127.0.0.1:8123/c/client/s/run-1"
KEY = "a-secret-key"
SONNET = ClientModel(
    "claude-sonnet-9",
    "Claude Sonnet 9",
    ("messages",),
    context=1_000_000,
    prompt=872_000,
    output=128_000,
    vision=True,
    efforts=("low", "medium", "high"),
    adaptive=True,
)
MINI = ClientModel("gpt-9-mini", "GPT-9 mini", ("responses",))
"""A model of which only the id is known."""
EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
PLATFORMS = ("linux", "darwin", "win32")


def connection(client: Client, model: ClientModel = SONNET, answer: str = "") -> Connection:
    return Connection(
        url=URL,
        key=KEY,
        model=model,
        models=[MINI, SONNET],
        families=dict.fromkeys(client.families, MINI),
        folder=PurePosixPath("/own"),
        answer=answer,
    )


def launched(client: Client, model: ClientModel = SONNET, answer: str = "") -> Launch:
    assert client.launch is not None
    return client.launch(connection(client, model, answer))


def set_up(client: Client, platform: str = "linux", **environ: str) -> Setup:
    machine = Machine(PurePosixPath("/home/me"), environ, platform)
    return client.setup(connection(client), machine)


def written(setup: Setup) -> str:
    return "\n".join([change.shown() for change in setup.changes] or [setup.text])


def config(launch: Launch, name: str) -> Any:
    return json.loads({**launch.environ, **launch.files}[name])


@pytest.mark.parametrize("model", [SONNET, MINI], ids=lambda model: model.id)
@pytest.mark.parametrize("client", [*RUNNABLE, any_program("x")], ids=lambda client: client.name)
def test_a_launch(client: Client, model: ClientModel) -> None:
    """The launch contains the address, model and key; other users cannot see the key."""
    launch = launched(client, model)

    private = "\n".join([*launch.environ.values(), *launch.files.values()])
    everything = "\n".join([*launch.arguments, private])
    assert URL in everything
    assert model.id in everything
    assert KEY in private
    assert KEY not in " ".join(launch.arguments)


@EACH
def test_traffic(client: Client) -> None:
    """The ledger has the client's name, from the user agent or the base URL."""
    agent = {b"user-agent": f"{client.user_agent}1.0".encode()}
    named = identify_client(agent, {}).client

    assert named == client.name or not client.user_agent
    assert client.name == identify_client(agent, {}, client.name).client
    assert client is find_client(client.word) is find_client(client.title)


def test_limits_and_efforts() -> None:
    """A configuration contains the model's capabilities, if the client has fields for them."""
    [opencode, pi, continue_, aider] = [
        launched(client)
        for name in ("opencode", "pi", "continue", "aider")
        if (client := find_client(name))
    ]
    provider = config(opencode, "OPENCODE_CONFIG_CONTENT")["provider"]["copilot-proxy"]
    model = provider["models"][SONNET.id]
    assert {"context": 1_000_000, "input": 872_000, "output": 128_000} == model["limit"]
    assert ["low", "medium", "high"] == list(model["variants"])
    assert "limit" not in provider["models"][MINI.id]
    assert "copilot-proxy/gpt-9-mini" == config(opencode, "OPENCODE_CONFIG_CONTENT")["small_model"]

    extension = pi.files["copilot-proxy.ts"]
    _, first = json.loads(extension[extension.index("{") : extension.rindex("}") + 1])["models"]
    assert ("anthropic-messages", 872_000) == (first["api"], first["contextWindow"])
    assert (None, "high", None) == tuple(
        first["thinkingLevelMap"][level] for level in ("minimal", "high", "max")
    )

    models = config(continue_, "config.yaml")["models"]
    assert [SONNET.id, MINI.id] == [model["model"] for model in models]
    assert 872_000 == models[0]["defaultCompletionOptions"]["contextLength"]
    assert 872_000 == config(aider, "models.json")["openai/claude-sonnet-9"]["max_input_tokens"]


@pytest.mark.parametrize(
    ("apis", "kind", "wire", "path"),
    [
        (("messages",), "anthropic", None, ""),
        (("chat", "messages"), "openai", "completions", "/v1"),
        (("responses",), "openai", "responses", "/v1"),
        ((), "openai", "completions", "/v1"),
    ],
)
def test_copilot_cli_uses_the_api_of_the_model(
    apis: Any, kind: str, wire: str | None, path: str
) -> None:
    """The model is called without translation if Copilot CLI supports one of its APIs."""
    client = find_client("copilot")
    assert client is not None
    environ = launched(client, ClientModel("m", "M", apis)).environ

    assert kind == environ["COPILOT_PROVIDER_TYPE"]
    assert wire == environ.get("COPILOT_PROVIDER_WIRE_API")
    assert URL + path == environ["COPILOT_PROVIDER_BASE_URL"]


@pytest.mark.parametrize(("arguments", "is_set"), [(["exec", "hi"], True), ([], False)])
def test_droid_gets_a_key_only_for_exec(arguments: list[str], is_set: bool) -> None:
    """In a terminal, droid would exit because of an invalid key, even if the user is signed in."""
    client = find_client("droid")
    assert client is not None
    assert client.launch is not None
    launch = client.launch(replace(connection(client), arguments=arguments))

    assert is_set == ("FACTORY_API_KEY" in launch.defaults)


OWN: Mapping[str, Any] = {
    "models": [
        {
            "slug": "gpt-9-mini",
            "display_name": "Nine",
            "base_instructions": "for nine",
            "use_responses_lite": True,
            "context_window": 1,
            "upgrade": {"model": "gpt-10"},
            "supported_reasoning_levels": [{"effort": "low", "description": "Quick"}],
        },
        {
            "slug": "gpt-5.5",
            "base_instructions": "for all",
            "default_reasoning_level": "high",
            "supported_reasoning_levels": [{"effort": "low", "description": "Fast"}],
        },
    ]
}


def test_the_models_for_codex() -> None:
    """Models that Codex knows keep their instructions; others get a plain model's instructions."""
    mini, sonnet = model_list([MINI, SONNET], json.dumps(OWN))

    assert ("Nine", "for nine") == (mini["display_name"], mini["base_instructions"])
    assert "upgrade" not in mini
    assert ("claude-sonnet-9", "for all") == (sonnet["slug"], sonnet["base_instructions"])
    assert ["Fast", "Reasoning effort: medium", "Reasoning effort: high"] == [
        level["description"] for level in sonnet["supported_reasoning_levels"]
    ]
    assert "high" == sonnet["default_reasoning_level"]
    assert (872_000, ["text", "image"]) == (sonnet["context_window"], sonnet["input_modalities"])


@pytest.mark.parametrize("answer", ["", "error", "[]", '{"models": [{"slug": "x"}]}'])
def test_a_codex_that_does_not_list_its_models(answer: str) -> None:
    """Codex is started without a model list."""
    client = find_client("codex")
    assert client is not None
    launch = launched(client, answer=answer)

    assert {} == launch.files
    assert "model_catalog_json" not in " ".join(launch.arguments)


def test_jobs_of_gemini_cli() -> None:
    """Gemini CLI uses built-in Google models for its own jobs; small jobs go to a small model."""
    gemini = find_client("gemini")
    assert gemini is not None
    (settings,) = launched(gemini).files.values()
    overrides = json.loads(settings)["modelConfigs"]["customOverrides"]
    models = {one["match"]["model"]: one["modelConfig"]["model"] for one in overrides}

    assert (MINI.id, SONNET.id) == (models["classifier"], models["edit-corrector"])


def test_models_of_the_server() -> None:
    """Only usable chat models are included; unknown sizes stay unknown."""
    entries = [
        {"id": "a", "type": "chat", "state": "enabled", "supported_endpoints": ["/responses"]},
        {"id": "b", "type": "chat", "state": "needs_enabling"},
        {"id": "c", "type": "embeddings", "state": "enabled"},
        {"type": "chat", "state": "enabled"},
        "d",
    ]

    assert [ClientModel("a", "a", ("responses",))] == parse_models({"data": entries})
    assert [] == parse_models(None)


@pytest.mark.parametrize("platform", PLATFORMS)
@EACH
def test_a_setup(client: Client, platform: str) -> None:
    """The written or printed configuration has the address and the key.

    Only the user's files are changed, and starting the client shows no key.
    """
    setup = set_up(client, platform)

    text = written(setup)
    assert URL in text or client.name in ("cursor", "gptel")
    assert KEY in text or client.name in ("cursor", "goose", "zed")
    assert all("/home/me" in str(change.path) for change in setup.changes)
    assert bool(setup.changes) != bool(setup.text)
    # Clients that open a window are started there.
    is_started = bool(setup.changes) and client.name not in ("zed", "raycast", "vscode")
    assert bool(setup.start) == is_started or client.name == "copilot-cli"
    assert KEY not in " ".join([setup.start, *setup.notes])


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [
        ("claude", "CLAUDE_CONFIG_DIR", "/else/settings.json"),
        ("codex", "CODEX_HOME", "/else/copilot-proxy.config.toml"),
        ("opencode", "XDG_CONFIG_HOME", "/else/opencode/opencode.json"),
        ("pi", "PI_CODING_AGENT_DIR", "/else/extensions/copilot-proxy.ts"),
        ("llm", "LLM_USER_PATH", "/else/extra-openai-models.yaml"),
        ("gemini", "GEMINI_CLI_HOME", "/else/.gemini/settings.json"),
    ],
)
def test_a_folder_of_the_user(name: str, variable: str, path: str) -> None:
    """A client with a custom folder is configured in that folder."""
    client = find_client(name)
    assert client is not None

    assert path == str(set_up(client, **{variable: "/else"}).changes[0].path)


def test_the_existing_file_is_used() -> None:
    """opencode's file can have several names; the existing one is changed."""
    client = find_client("opencode")
    assert client is not None
    machine = Machine(PurePosixPath("/"), exists=lambda path: path.name == "opencode.jsonc")

    assert "opencode.jsonc" == client.setup(connection(client), machine).changes[0].path.name


def test_shells() -> None:
    """Variables are quoted for the system's shell."""
    client = find_client("copilot")
    assert client is not None

    assert f"export COPILOT_PROVIDER_API_KEY={KEY}\n" in set_up(client).text
    assert f"$env:COPILOT_PROVIDER_API_KEY = '{KEY}'\n" in set_up(client, "win32").text


def test_names() -> None:
    """Names, titles and programs are unique; traffic is attributed only to defined clients."""
    names = [name for one in CLIENTS for name in {one.name, one.title.lower(), *one.programs}]

    assert len(names) == len(set(names))
    assert len(CLIENTS) >= 25
    assert {*USER_AGENTS, *SESSION_HEADERS} <= {one.name for one in CLIENTS}


def test_docs() -> None:
    """The table in docs/clients.md matches the definitions."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", DOCS.read_text(encoding="utf-8"))

    assert client_table.table() in text, "Print it with: python -m tests.client_table"
