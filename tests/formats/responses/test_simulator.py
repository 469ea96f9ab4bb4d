"""The Responses translators, tested with the simulator of Copilot's Responses API."""

import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.responses.request import count_images, initiator
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.sse import EventDecoder
from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.formats.answers import MODEL, check_stream
from tests.formats.responses.answers import read_strictly, repair_whole, request
from tests.selection import crossed

PNG = "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAAAAAAAAAAAA"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "get_weather", "parameters": PARAMETERS}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
}


class Copilot:
    """Sends requests to a simulator, and reads its responses."""

    def __init__(self, simulator: Simulator, http: httpx.Client) -> None:
        self.simulator = simulator
        self._http = http
        token = http.get(
            "/copilot_internal/v2/token", headers={"authorization": f"token {SIMULATED_TOKEN}"}
        ).json()["token"]
        self._headers = {
            "authorization": f"Bearer {token}",
            "editor-version": "vscode/1.137.0",
            "copilot-integration-id": "vscode-chat",
            "x-github-api-version": "2026-08-01",
        }
        models = http.get("/models", headers=self._headers).json()
        self.models: Catalogue = parse_models(models)

    def quirk(self, name: str) -> None:
        """Switch on the quirk `name` for all later responses; ``none`` changes nothing."""
        if name != "none":
            self.simulator.state.faults.on(name)

    def send(self, body: Json, *, vision: bool = False) -> list[Any]:
        """Return the decoded events of the response; a whole response counts as one event."""
        headers = {**self._headers, **({"copilot-vision-request": "true"} if vision else {})}
        answer = self._http.post("/responses", json=body, headers=headers)
        assert 200 == answer.status_code, answer.text
        if "json" in answer.headers["content-type"]:
            return [answer.json()]
        decoder = EventDecoder()
        return [msgspec.json.decode(event) for event in decoder.feed(answer.content)]

    def native(self, model: str, given: Any, **fields: Any) -> list[Json]:
        """Return the events that a Responses client receives, after checking them."""
        asked = {**request(given, **fields), "model": model, "stream": True}
        body = responses_for_model(asked, self.models.get(model), []).body
        stream = ResponsesRepair(asked)
        events = [
            e for data in self.send(body, vision=count_images(asked) > 0) for e in stream.feed(data)
        ]
        events += stream.close()
        read_strictly(events)
        assert stream.usage is not None
        assert stream.copilot_usage is not None
        return events

    def chat(
        self, model: str, messages: list[Json], *, vision: bool = False, **fields: Any
    ) -> Json:
        """Return the chat completion, after checking it."""
        chat = {"model": model, "messages": messages, "stream": True, **fields}
        stream = ResponsesToChat(MODEL, include_usage=True)
        body = responses_from_chat(chat, self.models.get(model), []).body
        chunks = [c for data in self.send(body, vision=vision) for c in stream.feed(data)]
        chunks += stream.close()
        check_stream(chunks, include_usage=True)
        choice: Json = completion_from_chunks(chunks)["choices"][0]
        return choice


@pytest.fixture
def copilot(simulator: Simulator) -> Iterator[Copilot]:
    # Loopback needs no certificates, and loading them would take longer than most tests.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.Client(base_url=simulator.url, trust_env=False, verify=context, timeout=60) as http:
        yield Copilot(simulator, http)


TOOLS: list[Json] = [WEATHER, PATCH, {"type": "web_search"}]
ASKED: Json = {
    # Codex and others request this, but Copilot does not support it.
    "tools": TOOLS,
    "reasoning": {"effort": "minimal", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": True,
    "temperature": 0.3,
    "service_tier": "priority",
    "client_metadata": {"a": "b"},
    "max_output_tokens": 4000,
    "metadata": {"a": "b"},
    "safety_identifier": "x",
}
QUIRKS = ["none", "no_reasoning_deltas", "no_sequence_numbers", "compaction", "wordless"]


@crossed(quirk=QUIRKS, model=["gpt-5.1", "gpt-5.2"])
def test_a_native_conversation_continues(copilot: Copilot, model: str, quirk: str) -> None:
    """A response with function and custom calls can be sent back unchanged."""
    copilot.quirk(quirk)
    conversation: list[Json] = [{"role": "user", "content": "What is the weather in Paris?"}]
    for forced in ("get_weather", "apply_patch"):
        choice = next({"type": t["type"], "name": forced} for t in TOOLS if t.get("name") == forced)
        last = copilot.native(model, conversation, **ASKED, tool_choice=choice)[-1]["response"]
        call = next(item for item in last["output"] if item["type"].endswith("_call"))
        kind = "custom_tool_call" if forced == "apply_patch" else "function_call"
        assert (kind, forced) == (call["type"], call["name"])
        output = {"type": f"{kind}_output", "call_id": call["call_id"], "output": "Sunny"}
        conversation += [*last["output"], output]
        assert "agent" == initiator(request(conversation))
    conversation.append({"role": "user", "content": "Thanks"})

    answer = copilot.native(model, conversation, **ASKED)[-1]["response"]

    assert "completed" == answer["status"]
    assert (quirk == "wordless") == (not any(i["type"] == "message" for i in answer["output"]))


def test_a_native_response_can_be_whole(copilot: Copilot) -> None:
    """A response that is not streamed has the same content; a broken response is an error."""
    asked = {**request("Hi"), "model": "gpt-5.4"}
    body = responses_for_model(asked, copilot.models.get("gpt-5.4"), []).body

    whole = repair_whole(copilot.send(body)[0], asked)

    assert "You said: Hi" in whole["output"][-1]["content"][0]["text"]
    stream = ResponsesRepair(asked)
    read_strictly(stream.feed(whole))


@crossed(quirk=QUIRKS, model=["gpt-5.1", "gpt-5.4"])
def test_a_hub_conversation_continues(copilot: Copilot, model: str, quirk: str) -> None:
    """A chat client's conversation continues over several turns, with tools and reasoning."""
    copilot.quirk(quirk)
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    fields: Json = {
        "tools": [tool],
        "reasoning_effort": "high",
        "max_tokens": 4000,
        "stop": ["x"],
        "temperature": 0.3,
        "seed": 1,
        "parallel_tool_calls": True,
    }
    forced = {"type": "function", "function": {"name": "get_weather"}}
    messages: list[Json] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather in Paris?"},
    ]

    choice = copilot.chat(model, messages, **fields, tool_choice=forced)

    assert "tool_calls" == choice["finish_reason"]
    message = choice["message"]
    assert message["reasoning_opaque"].startswith("responses:")
    assert message["reasoning_content"]
    messages.append(message)
    for call in message["tool_calls"]:
        image = {"type": "image_url", "image_url": {"url": PNG}}
        said = [{"type": "text", "text": "Sunny"}, image]
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})
    again = copilot.chat(model, messages, vision=True, **fields)
    assert "stop" == again["finish_reason"]


@pytest.mark.parametrize(
    "fault",
    [
        "end_early",
        "failed",
        "error_chunk",
        "error_first_chunk",
        "empty_stream",
        "runaway_arguments",
    ],
)
def test_a_broken_response_is_an_error(copilot: Copilot, fault: str) -> None:
    """Every kind of broken response is an error, in both directions."""
    asked = {**request("Weather?", tools=[WEATHER], tool_choice="required"), "model": "gpt-5.4"}
    body = {**responses_for_model(asked, copilot.models.get("gpt-5.4"), []).body, "stream": True}
    copilot.quirk(fault)
    events = copilot.send(body)

    native, translated = ResponsesRepair(asked), ResponsesToChat(MODEL)
    with pytest.raises(UpstreamError):
        for event in events:
            native.feed(event)
        native.close()
        raise native.failure or AssertionError("no failure")
    with pytest.raises(UpstreamError):
        for event in events:
            translated.feed(event)
        translated.close()


def test_json_instead_of_a_stream_is_streamed(copilot: Copilot) -> None:
    """A whole response to a request for a stream becomes a stream."""
    copilot.quirk("json_instead_of_sse")

    events = copilot.native("gpt-5.4", "Hi")

    assert "response.completed" == events[-1]["type"]


def test_schemas_and_images_arrive(copilot: Copilot) -> None:
    """Structured output and images reach the model from a chat client."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    content = [
        {"type": "text", "text": "Take 5"},
        {"type": "image_url", "image_url": {"url": PNG}},
    ]

    choice = copilot.chat(
        "gpt-5.4", [{"role": "user", "content": content}], vision=True, response_format=form
    )

    assert {"n": 5} == msgspec.json.decode(choice["message"]["content"])
