"""Which Copilot API is called: the catalogue decides, with one retry if it was wrong."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.matrix_clients import NATIVE as CLIENTS
from tests.matrix_clients import TOOL, Ask, Client, Turn
from tests.selection import every_value

pytestmark = pytest.mark.usefixtures("no_retry_delays")

CHAT, RESPONSES, MESSAGES = CLIENTS
EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
BOTH = pytest.mark.parametrize("stream", [False, True])
NATIVE = {"chat_completions": "gpt-4.1", "responses": "gpt-5.5", "messages": "claude-sonnet-4.5"}
"""For each client API, a model that supports that API."""
TRANSLATED = {"chat_completions": "gpt-5.5", "responses": "gpt-4.1", "messages": "gpt-5.5"}
"""For each client API, a model that does not support that API."""
BOTH_WAYS = pytest.mark.parametrize("models", [NATIVE, TRANSLATED], ids=["native", "translated"])


@pytest.fixture
def http(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.client() as http:
        yield http


def post(
    http: httpx.Client,
    client: Client,
    model: str,
    *,
    extra: ClientRequest | None = None,
    **more: Any,
) -> httpx.Response:
    turns = more.pop("turns", client.user("Ahoy"))
    body = client.body(Ask(model, turns, **more))
    return http.post(client.path, json={**body, **(extra or {})})


def called_paths(simulator: Simulator) -> list[str]:
    """Return the paths of Copilot's APIs that were called, in order."""
    endpoints = [client.endpoint for client in CLIENTS]
    return [r.path for r in simulator.state.requests if r.path in endpoints]


def lists_read(simulator: Simulator) -> int:
    return sum(record.path == "/models" for record in simulator.state.requests)


def route(answer: httpx.Response) -> str:
    assert 200 == answer.status_code, answer.text
    return answer.headers["x-copilot-proxy-route"]


@every_value
@BOTH
@pytest.mark.parametrize("fault", ["unsupported_api_for_model", "unsupported_api_in_words"])
@pytest.mark.parametrize(
    ("client", "model", "way"),
    [
        (CHAT, "gpt-5-mini", [CHAT, RESPONSES]),
        (RESPONSES, "gpt-5-mini", [RESPONSES, CHAT]),
        (MESSAGES, "gpt-5-mini", [CHAT, RESPONSES]),
        (CHAT, "claude-sonnet-4.5", [CHAT, MESSAGES]),
        (MESSAGES, "claude-sonnet-4.5", [MESSAGES, CHAT]),
    ],
    ids=lambda value: getattr(value, "api", None),
)
def test_a_refused_api_is_followed_by_another(
    http: httpx.Client,
    simulator: Simulator,
    client: Client,
    model: str,
    way: list[Client],
    fault: str,
    stream: bool,
) -> None:
    """After a refusal, the model list is loaded again, and another API answers."""
    simulator.state.faults.on(fault, times=1)

    answer = post(http, client, model, stream=stream)

    assert way[-1].api == route(answer)
    assert [one.endpoint for one in way] == called_paths(simulator)
    assert 2 == lists_read(simulator)
    body = client.fold(answer.text) if stream else answer.json()
    assert "You said: Ahoy" in client.read(body).text


@every_value
@EACH
@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.5", "gpt-4.1", "claude-opus-5"])
def test_never_a_third_time(
    http: httpx.Client, simulator: Simulator, client: Client, model: str
) -> None:
    """If two APIs refuse a model, the client gets an error after two requests."""
    simulator.state.faults.on("unsupported_api_for_model")

    answer = post(http, client, model, stream=True)

    assert 400 == answer.status_code
    client.check_error(answer.json())
    assert "is not accessible via" in answer.json()["error"]["message"]
    assert 2 == len(called_paths(simulator)) == len(set(called_paths(simulator)))


@EACH
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.5"])
def test_a_wrong_refusal_is_forgotten_after_a_while(
    http: httpx.Client, simulator: Simulator, client: Client, model: str
) -> None:
    """A model that no API served for a while works again later."""
    simulator.state.faults.on("unsupported_api_for_model")
    for _ in range(2):
        assert 400 == post(http, client, model).status_code
    simulator.state.faults.clear()

    first = route(post(http, client, model))
    assert first == route(post(http, client, model))


@pytest.mark.parametrize(
    ("model", "now", "client", "way"),
    [
        ("gpt-5.1", RESPONSES, CHAT, [CHAT, RESPONSES]),
        ("gpt-5.1", CHAT, RESPONSES, [RESPONSES, CHAT]),
        ("gpt-5.5", CHAT, CHAT, [RESPONSES, CHAT]),
        ("gpt-5.5", CHAT, MESSAGES, [RESPONSES, CHAT]),
        ("claude-sonnet-4.5", CHAT, MESSAGES, [MESSAGES, CHAT]),
        ("claude-opus-5", CHAT, RESPONSES, [MESSAGES, CHAT]),
        ("gpt-4.1", RESPONSES, RESPONSES, [CHAT, RESPONSES]),
    ],
    ids=lambda value: getattr(value, "api", None),
)
def test_a_model_moves(
    http: httpx.Client,
    simulator: Simulator,
    model: str,
    now: Client,
    client: Client,
    way: list[Client],
) -> None:
    """A model that moves to another API costs one refusal."""
    route(post(http, client, model))
    entry = simulator.state.model(model)
    assert entry is not None
    entry["supported_endpoints"] = [now.endpoint]
    simulator.state.recorder.clear()

    for _ in range(2):
        assert now.api == route(post(http, client, model))

    assert [one.endpoint for one in [*way, now]] == called_paths(simulator)


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize(
    ("model", "first", "other"),
    [("claude-sonnet-4.5", MESSAGES, CHAT), ("gpt-5-mini", RESPONSES, CHAT)],
    ids=lambda value: getattr(value, "api", None),
)
def test_a_model_moves_back_and_forth(
    http: httpx.Client,
    simulator: Simulator,
    model: str,
    first: Client,
    other: Client,
    is_listed: bool,
) -> None:
    """A model that moves several times within seconds costs one refusal each time.

    This is true whether or not the model list shows the move, and no third API is tried.
    """
    entry = simulator.state.model(model)
    assert entry is not None
    entry["supported_endpoints"] = [first.endpoint, *([] if is_listed else [other.endpoint])]
    route(post(http, first, model))
    simulator.state.recorder.clear()

    for now, before in [(other, first), (first, other)] * 2:
        if is_listed:
            entry["supported_endpoints"] = [now.endpoint]
        else:
            simulator.state.faults.on("unsupported_api_for_model", path=before.endpoint)
        for _ in range(2):
            assert now.api == route(post(http, first, model))
        simulator.state.faults.clear()

    moves = [other.endpoint, other.endpoint, first.endpoint, first.endpoint] * 2
    refused = [first.endpoint, other.endpoint] * 2
    expected = [path for i in range(4) for path in (refused[i], moves[2 * i], moves[2 * i + 1])]
    assert expected == called_paths(simulator)


@pytest.mark.parametrize(
    "change",
    [
        {"supported_endpoints": ["/v9/interactions", "ws:/responses", "/responses", 7, None]},
        {"supported_endpoints": ["ws:/responses"]},
        {"vendor": "Somebody New", "model_picker_category": "quantum"},
        {"vendor": None, "policy": {"state": "enabled", "terms": None, "since": 3}},
        {"billing": {"is_premium": "perhaps"}, "some_field_of_tomorrow": {"a": [1]}},
    ],
)
def test_unknown_values_in_the_catalogue(
    http: httpx.Client, simulator: Simulator, change: ClientRequest
) -> None:
    """Unknown endpoints, vendors and fields do not hide known endpoints, vendors and fields."""
    entry = simulator.state.model("gpt-5.5")
    assert entry is not None
    entry.update(change)

    for client in CLIENTS:
        assert "responses" == route(post(http, client, "gpt-5.5", stream=True))
    assert ["/responses"] * len(CLIENTS) == called_paths(simulator)


@EACH
def test_only_unknown_endpoints(http: httpx.Client, simulator: Simulator, client: Client) -> None:
    """For a model without a known API, the client gets an error after at most two tries."""
    entry = simulator.state.model("gpt-5.5")
    assert entry is not None
    entry["supported_endpoints"] = ["/v9/interactions"]

    answer = post(http, client, "gpt-5.5")

    assert 400 == answer.status_code
    client.check_error(answer.json())
    assert len(called_paths(simulator)) <= 2


@pytest.mark.parametrize("fault", ["models_500", "models_429", "models_html", "models_garbage"])
def test_without_a_catalogue(http: httpx.Client, simulator: Simulator, fault: str) -> None:
    """Without a model list, the client's API is called with the model's name as given."""
    simulator.state.faults.on(fault)

    for client in CLIENTS:
        answer = post(http, client, NATIVE[client.api])

        assert client.api == route(answer)
        assert client.endpoint == called_paths(simulator)[-1]
        assert "You said: Ahoy" in client.read(answer.json()).text
    assert len(CLIENTS) == len(called_paths(simulator))


@EACH
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.5", "claude-opus-5"])
def test_without_a_catalogue_every_model_answers(
    http: httpx.Client, simulator: Simulator, client: Client, model: str
) -> None:
    """Only refusals show where the model is served, so each API is tried once."""
    simulator.state.faults.on("models_500")

    answer = post(http, client, model)

    assert "You said: Ahoy" in client.read(answer.json()).text
    assert len(called_paths(simulator)) == len(set(called_paths(simulator)))


@EACH
def test_without_a_catalogue_an_unknown_name_says_why(
    http: httpx.Client, simulator: Simulator, client: Client
) -> None:
    """Without a model list, the error says that an alias cannot be resolved."""
    simulator.state.faults.on("models_500")

    answer = post(http, client, "gpt-4-turbo")

    assert 404 == answer.status_code
    assert "list of models cannot be read" in answer.json()["error"]["message"]


@EACH
def test_an_old_catalogue_is_used_if_reading_fails(
    http: httpx.Client, simulator: Simulator, client: Client
) -> None:
    """If the list cannot be loaded again, the old one is used."""
    route(post(http, client, TRANSLATED[client.api]))
    simulator.state.faults.on("models_500")
    simulator.state.recorder.clear()

    answer = post(http, client, TRANSLATED[client.api])

    assert client.api != route(answer)
    assert 1 == len(called_paths(simulator))


@every_value
@BOTH
@pytest.mark.parametrize(
    ("client", "model", "extra", "note"),
    [
        (CHAT, "gpt-5.5", {"seed": 7}, "dropped seed"),
        (CHAT, "claude-opus-5", {"logit_bias": {"1": 1}}, "dropped logit_bias"),
        (RESPONSES, "gpt-4.1", {"truncation": "auto"}, "dropped truncation"),
        (RESPONSES, "gpt-5.5", {"temperature": 0.2}, "dropped temperature"),
        (MESSAGES, "gpt-4.1", {"top_k": 5}, "dropped top_k"),
        (MESSAGES, "claude-opus-5", {"top_k": 5}, "dropped top_k"),
    ],
    ids=lambda value: getattr(value, "api", None),
)
def test_notes(
    http: httpx.Client, client: Client, model: str, extra: ClientRequest, note: str, stream: bool
) -> None:
    """Whether a request is translated or not, a header names everything that is dropped."""
    assert "x-copilot-proxy-notes" not in post(http, client, model, stream=stream).headers

    answer = post(http, client, model, stream=stream, extra=extra)

    assert note in answer.headers["x-copilot-proxy-notes"]


def conversations(client: Client) -> Iterator[tuple[list[Turn], str]]:
    """Yield each conversation, and the author of its last turn."""
    question, reply = client.user("Hi"), client.assistant("Hello")
    calls: dict[str, list[Turn]] = {
        "chat_completions": [
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": TOOL, "arguments": "{}"}}
                ],
            }
        ],
        "responses": [{"type": "function_call", "call_id": "c1", "name": TOOL, "arguments": "{}"}],
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": TOOL, "input": {}}],
            }
        ],
    }
    loop = [*question, *calls[client.api], *client.results([("c1", "Sunny")])]
    yield question, "user"
    yield [*question, *reply, *client.user("And?")], "user"
    yield [*question, *reply], "agent"
    yield loop, "agent"
    yield [*loop, *reply, *client.user("Thanks")], "user"
    yield [*question, {"role": "system", "content": "Be brief."}], "user"
    yield [*loop, *client.user("<system-reminder>Be brief.</system-reminder>")], "agent"


@EACH
@BOTH_WAYS
def test_initiator(
    http: httpx.Client, simulator: Simulator, client: Client, models: dict[str, str]
) -> None:
    """X-Initiator names the author of the last turn of the client's request, on every API."""
    for turns, initiator in conversations(client):
        route(post(http, client, models[client.api], turns=turns, tools=True))

        assert initiator == simulator.state.requests[-1].initiator, turns


def test_text_next_to_results_is_the_users(http: httpx.Client, simulator: Simulator) -> None:
    """On Messages, a turn with results and text is the user's."""
    turns = list(conversations(MESSAGES))[3][0]
    results = turns[-1]["content"]
    turns = [*turns[:-1], {"role": "user", "content": [*results, {"type": "text", "text": "Go"}]}]
    for model in ("claude-sonnet-4.5", "gpt-4.1"):
        route(post(http, MESSAGES, model, turns=turns, tools=True))

        assert "user" == simulator.state.requests[-1].initiator


@BOTH_WAYS
@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("error_first_chunk", "unsupported_api_for_model"),
        ("error_chunk", "unsupported_api_for_model"),
        ("empty_stream", None),
        ("cut_after_headers", None),
        ("cut_mid_stream", None),
    ],
)
def test_accepted_requests_are_not_retried(
    http: httpx.Client,
    simulator: Simulator,
    models: dict[str, str],
    fault: str,
    value: str | None,
) -> None:
    """A request that Copilot has begun to answer is not retried, since it may be billed."""
    simulator.state.faults.on(fault, value=value)

    for client in CLIENTS:
        post(http, client, models[client.api], stream=True)

    assert len(CLIENTS) == len(called_paths(simulator))


@every_value
@BOTH_WAYS
@pytest.mark.parametrize(
    "fault",
    [
        "error_chunk",
        "failed",
        "cut_mid_stream",
        "cut_mid_event",
        "end_early",
        "invalid_json_event",
    ],
)
def test_failures_in_mid_stream(
    http: httpx.Client, proxy: Proxy, simulator: Simulator, models: dict[str, str], fault: str
) -> None:
    """A failure ends the stream with an error in the client's format, and is logged."""
    simulator.state.middle = 8
    simulator.state.faults.on(fault)

    for count, client in enumerate(CLIENTS, start=1):
        answer = post(http, client, models[client.api], stream=True)

        assert (client.api, 200) == (client.api, answer.status_code)
        client.check_broken(answer.text)
        assert proxy.wait_for_record(count).error


@BOTH_WAYS
@pytest.mark.parametrize("fault", ["error_chunk", "cut_mid_stream", "end_early"])
def test_a_failed_stream_is_not_a_whole_answer(
    http: httpx.Client, simulator: Simulator, models: dict[str, str], fault: str
) -> None:
    """If a stream that is assembled into a whole answer fails, the client gets an error."""
    simulator.state.middle = 8
    simulator.state.faults.on(fault)
    # Claude requires a stream for answers of more than 16,000 tokens.
    model = "claude-opus-4.7" if models is NATIVE else "claude-opus-5"

    for client in CLIENTS:
        answer = post(http, client, model, limit=20_000)

        assert answer.status_code >= 500, client.api
        client.check_error(answer.json())
        assert "false" == answer.headers["x-should-retry"]


def test_aliases_of_claude_code(http: httpx.Client, simulator: Simulator) -> None:
    """A dated name is resolved before the API is chosen."""
    answer = post(http, MESSAGES, "claude-sonnet-4-5-20250929")

    assert "messages" == route(answer)
    assert "claude-sonnet-4.5" == simulator.state.requests[-1].body["model"]


@pytest.mark.parametrize(
    ("client", "asks"),
    [
        (CHAT, {"reasoning_effort": "high"}),
        (CHAT, {"thinking_budget": 2000}),
        (CHAT, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (RESPONSES, {"reasoning": {"effort": "high"}}),
        (RESPONSES, {"reasoning": {"summary": "auto", "effort": "low"}}),
    ],
    ids=lambda value: getattr(value, "api", str(value)),
)
def test_claude_thinks_on_messages(
    http: httpx.Client, simulator: Simulator, client: Client, asks: ClientRequest
) -> None:
    """If a Claude model is on both APIs, requests for reasoning go to the API that can show it."""
    assert "messages" == route(post(http, client, "claude-sonnet-4.5", extra=asks))
    assert "thinking" in simulator.state.requests[-1].body
    assert "chat_completions" == route(post(http, client, "claude-sonnet-4.5"))
