"""A conversation that continues with another model, on each API and within a tool loop."""

import base64
from collections.abc import Iterator
from itertools import permutations

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at
from tests.matrix_clients import GEMINI as GEMINI_API
from tests.matrix_clients import NATIVE as CLIENTS
from tests.matrix_clients import TOOL, Ask, Client
from tests.selection import every_value, sample

GPT, OTHER_GPT = "gpt-5.6-luna", "gpt-6.2-sol"
CLAUDE, BOUND = "claude-sonnet-4.6", "claude-opus-5.5"
GEMINI, OTHER_GEMINI = "gemini-3.8-flash", "gemini-4-argon"
MODELS = (GPT, OTHER_GPT, CLAUDE, BOUND, GEMINI, OTHER_GEMINI, "kimi-k3")
EACH = pytest.mark.parametrize("client", [*CLIENTS, GEMINI_API], ids=lambda client: client.api)
REFUSED = "Copilot refused it, since it belongs to another model"


class Switching:
    """A server in front of the simulator with the models of November 2026."""

    def __init__(self, simulator: Simulator, http: httpx.Client) -> None:
        self.simulator = simulator
        self._http = http

    def ask(self, client: Client, model: str, turns: list[Json]) -> httpx.Response:
        self.simulator.state.recorder.clear()
        ask = Ask(model, turns, tools=True)
        body = client.body(ask)
        # Request reasoning from every model.
        match client.api:
            case "chat_completions":
                body["reasoning_effort"] = "high"
            case "responses":
                body |= {"reasoning": {"effort": "high", "summary": "auto"}}
            case "gemini":
                thinking = {"thinkingLevel": "HIGH", "includeThoughts": True}
                body["generationConfig"] = {"thinkingConfig": thinking}
            case _:
                body |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
        answer = self._http.post(client.path_of(ask), json=body)
        assert 200 == answer.status_code, answer.text
        return answer

    def bodies(self) -> list[Json]:
        """Return the request bodies that Copilot has received since the last `ask`."""
        paths = [client.endpoint for client in CLIENTS]
        return [one.body for one in self.simulator.state.requests if one.path in paths]


@pytest.fixture(scope="module")
def switching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switching]:
    with pytest.MonkeyPatch.context() as patch:
        clear_environment(patch, tmp_path_factory.mktemp("switching"))
        with (
            Simulator(catalogue="2026-11", pace=0) as simulator,
            Proxy(settings_at(simulator)) as proxy,
            proxy.client() as http,
        ):
            yield Switching(simulator, http)


def in_a_loop(switching: Switching, client: Client, model: str) -> list[Json]:
    """Return a conversation in which `model` has called a tool, with the result."""
    turns = client.user("What is the weather in Paris?")
    said = client.read(switching.ask(client, model, turns).json())
    return [*turns, *said.turns, *client.results([(said.calls[0].id, "12 degrees")])]


@every_value
@EACH
@pytest.mark.parametrize(
    ("first", "second"),
    sample(permutations(MODELS, 2), alike=lambda pair: tuple(name.split("-")[0] for name in pair)),
)
def test_a_switch_within_a_tool_loop(
    switching: Switching, client: Client, first: str, second: str
) -> None:
    """The other model gets the call and its result, and both models can continue from there."""
    turns = in_a_loop(switching, client, first)

    answer = switching.ask(client, second, turns)

    sent = switching.bodies()
    assert all(word in str(sent[-1]) for word in (TOOL, "Paris", "12 degrees"))
    notes = answer.headers.get("x-copilot-proxy-notes", "")
    assert len(sent) <= 2
    is_gemini = second in (GEMINI, OTHER_GEMINI)
    # Calls by another Gemini model may have kept their signature, as the client sent them.
    assert ("tool calls to text" in notes) == ("tool_calls" not in str(sent[-1]) and is_gemini)
    assert (REFUSED in notes) == (len(sent) == 2)

    said = client.read(answer.json())
    later = [*turns, *said.turns, *client.user("And now?")]
    # A refused part is not sent again, so the model's own reasoning stays.
    answer = switching.ask(client, second, later)
    assert 1 == len(switching.bodies())
    assert (REFUSED in notes) == (REFUSED in answer.headers.get("x-copilot-proxy-notes", ""))
    switching.ask(client, first, later)


@EACH
@pytest.mark.parametrize(("first", "second"), [(GPT, OTHER_GPT), (OTHER_GPT, GPT)])
def test_reasoning_of_another_model(
    switching: Switching, client: Client, first: str, second: str
) -> None:
    """If Copilot cannot decrypt content, the request is sent again without it, with a note.

    Without encrypted content, or with the model that made it, only one request is sent.
    """
    turns = in_a_loop(switching, client, first)

    answer = switching.ask(client, second, turns)

    before, after = switching.bodies()
    assert ("encrypted_content" in str(before["input"])) > (
        "encrypted_content" in str(after["input"])
    )
    assert {**before, "input": 0} == {**after, "input": 0}
    assert REFUSED in answer.headers["x-copilot-proxy-notes"]
    assert ["agent"] * 2 == [one.initiator for one in switching.simulator.state.requests[-2:]]

    assert REFUSED not in switching.ask(client, first, turns).headers.get(
        "x-copilot-proxy-notes", ""
    )
    assert 1 == len(switching.bodies())

    said = client.read(answer.json())
    again = switching.ask(client, second, [*turns, *said.turns, *client.user("And now?")])
    (body,) = switching.bodies()
    assert "encrypted_content" in str(body["input"]), "its own reasoning is sent back"
    assert REFUSED in again.headers["x-copilot-proxy-notes"]


@every_value
@EACH
@pytest.mark.parametrize("model", [CLAUDE, BOUND, "claude-haiku-4.5"])
def test_a_signature_that_claude_does_not_accept(
    switching: Switching, client: Client, model: str
) -> None:
    """The request is sent again without the thinking, but with the call and its result."""
    forged = f"Rm9yZ2Vk{client.api}"  # shaped like a signature, but made up
    call = {"id": "toolu_1", "name": TOOL, "input": {"city": "Paris"}}
    function = {"name": TOOL, "arguments": '{"city": "Paris"}'}
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": forged}
    reasoning = {"reasoning_content": "Hm.", "reasoning_opaque": f"messages:{forged}"}
    calls = [{"id": "toolu_1", "type": "function", "function": function}]
    asked = {"name": TOOL, "args": {"city": "Paris"}}
    sealed = base64.b64encode(f"messages:{forged}\nHm.".encode()).decode()
    signed = {"functionCall": asked, "thoughtSignature": sealed}
    said: dict[str, list[Json]] = {
        "chat_completions": [
            {"role": "assistant", "content": None, "tool_calls": calls, **reasoning}
        ],
        "responses": [
            {"type": "reasoning", "summary": [], "encrypted_content": f"messages:{forged}"},
            {"type": "function_call", "call_id": "toolu_1", **function},
        ],
        "messages": [{"role": "assistant", "content": [thinking, {"type": "tool_use", **call}]}],
        "gemini": [{"role": "model", "parts": [signed]}],
    }
    turns = [*client.user("Weather?"), *said[client.api], *client.results([("toolu_1", "12")])]

    answer = switching.ask(client, model, turns)

    sent = switching.bodies()
    assert forged not in str(sent[-1])
    if answer.headers["x-copilot-proxy-route"] == "messages":
        assert forged in str(sent[0])
        assert REFUSED in answer.headers["x-copilot-proxy-notes"]
    assert TOOL in str(sent[-1]["messages"])
