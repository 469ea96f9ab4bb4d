"""OpenAI's Python SDK refers to earlier responses, with native and translated models."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from copilot_proxy.headers import CLIENT_ID
from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.selection import crossed
from tests.test_sdk_openai_responses import PATHS, WEATHER

Json = dict[str, Any]


@contextmanager
def sdk(proxy: Proxy, key: str = "unused") -> Iterator[openai.OpenAI]:
    """The SDK without retries, so that tests see the first answer."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key=key, max_retries=0, http_client=http
    ) as client:
        yield client


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with sdk(proxy) as client:
        yield client


def sent_text(simulator: Simulator) -> str:
    """Return the body of the last call to Copilot."""
    return json.dumps(simulator.state.requests[-1].body)


def code_of(raised: "pytest.ExceptionInfo[openai.APIStatusError]") -> tuple[int, object]:
    return raised.value.status_code, raised.value.code


@crossed(model=PATHS, stream=[False, True])
def test_tool_loop(client: openai.OpenAI, simulator: Simulator, model: str, stream: bool) -> None:
    """Only the results are sent; the model gets the question, its own calls, and the results."""
    asked: Any = {"model": model, "tools": [WEATHER], "reasoning": {"effort": "high"}}

    def ask(**more: Any) -> Response:
        if not stream:
            response: Response = client.responses.create(**asked, **more)
            return response
        with client.responses.stream(**asked, **more) as events:
            return events.get_final_response()

    first = ask(input="Use the tool: weather in Paris and London")
    calls = [one for one in first.output if one.type == "function_call"]
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(calls, ("12 degrees", "9 degrees"), strict=True)
    ]
    second = ask(input=outputs, previous_response_id=first.id)
    assert "12 degrees" in second.output_text
    assert "9 degrees" in second.output_text
    assert (first.id, True) == (second.previous_response_id, second.to_dict()["store"])
    assert "weather in Paris and London" in sent_text(simulator)

    third = ask(input="Thanks, say bye", previous_response_id=second.id)
    assert "You said: Thanks, say bye" in third.output_text
    assert "9 degrees" in sent_text(simulator)
    calls_made = [r for r in simulator.state.requests if r.path == PATHS[model]]
    assert ["user", "agent", "user"] == [one.initiator for one in calls_made]


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5"])
def test_encrypted_reasoning_continues(
    client: openai.OpenAI, simulator: Simulator, model: str
) -> None:
    """The model gets back its own reasoning, which the client did not send."""
    reasoning: Any = {"effort": "high", "summary": "auto"}
    first = client.responses.create(model=model, input="Think", reasoning=reasoning)
    (thought,) = (one for one in first.output if one.type == "reasoning")
    assert thought.encrypted_content

    client.responses.create(
        model=model, input="Go on", previous_response_id=first.id, reasoning=reasoning
    )

    sealed = thought.encrypted_content.rpartition(":")[2]
    assert sealed[:40] in sent_text(simulator)


def test_a_long_conversation(client: openai.OpenAI, simulator: Simulator) -> None:
    """An agent's conversation can be continued and listed with the ids that it sent."""
    said: list[Any] = [
        {"type": "message", "id": f"msg_{n}", "role": role, "content": f"{n} {role} " * 200}
        for n in range(100)
        for role in ("user", "assistant")
    ]
    first = client.responses.create(
        model="gpt-5.5", input=[*said, {"role": "user", "content": "a"}]
    )
    listed = client.responses.input_items.list(first.id, order="asc", limit=100).data

    client.responses.create(model="gpt-5.5", input="Go on", previous_response_id=first.id)

    assert [item["id"] for item in said[:100]] == [item.id for item in listed]
    sent = simulator.state.requests[-1].body["input"]
    assert [item["content"] for item in said] == [item["content"] for item in sent[:200]]
    assert "Go on" in json.dumps(sent[-1])


@pytest.mark.parametrize("model", PATHS)
def test_item_references(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """Vercel's AI SDK sends ids in place of the model's texts and reasoning."""
    tool = [WEATHER]
    first: Any = client.responses.create(
        model=model, input="Use the tool: weather in Paris", tools=tool
    )
    call = next(one for one in first.output if one.type == "function_call")
    references = [
        {"type": "item_reference", "id": one.id}
        for one in first.output
        if one.type != "function_call"
    ]
    history: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Use the tool: Paris"}]},
        *references,
        {
            "type": "function_call",
            **{n: getattr(call, n) for n in ("call_id", "name", "arguments")},
        },
        {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"},
    ]
    second = client.responses.create(model=model, input=history, tools=tool)
    assert "12 degrees" in second.output_text
    assert "agent" == simulator.state.requests[-1].initiator

    history += [{"type": "item_reference", "id": one.id} for one in second.output]
    history.append({"role": "user", "content": "Say bye"})
    third = client.responses.create(model=model, input=history, tools=tool)
    assert "You said: Say bye" in third.output_text
    assert second.output_text[:30] in sent_text(simulator)
    assert "item_reference" not in sent_text(simulator)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-4o"])
def test_stored_responses(client: openai.OpenAI, model: str) -> None:
    """A response can be read unchanged, listed page by page, and then deleted."""
    first = client.responses.create(model=model, input="One", instructions="Be brief.")
    second = client.responses.create(
        model=model, input=[{"role": "user", "content": "Two"}], previous_response_id=first.id
    )

    again = client.responses.retrieve(second.id)
    assert second.to_dict() == again.to_dict()
    assert second.output_text == again.output_text
    items: list[Any] = list(client.responses.input_items.list(second.id, limit=1, order="asc"))
    assert ["One", first.output_text, "Two"] == [
        item.content[0].text for item in items if item.type == "message"
    ]
    latest: Any = client.responses.input_items.list(second.id).data[0]
    assert "Two" == latest.content[0].text

    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(second.id)
    client.responses.delete(first.id)
    for use in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as raised:
            use(first.id)
        assert (404, "response_not_found") == code_of(raised)
    third = client.responses.create(model=model, input="Three", previous_response_id=second.id)
    assert "You said: Three" in third.output_text


def test_unknown_references(client: openai.OpenAI, simulator: Simulator) -> None:
    """Unknown ids are refused with OpenAI's codes, and the model is not called."""
    asked: Any = {"model": "gpt-5.5"}
    with pytest.raises(openai.BadRequestError) as previous:
        client.responses.create(**asked, input="Hi", previous_response_id="resp_1")
    assert (400, "previous_response_not_found") == code_of(previous)
    with pytest.raises(openai.NotFoundError) as item:
        reference: Any = {"type": "item_reference", "id": "msg_1"}
        client.responses.create(**asked, input=[{"role": "user", "content": "Hi"}, reference])
    assert "input[1]" == item.value.param
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**asked, input="Hi", conversation="conv_1")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")

    assert [] == [r for r in simulator.state.requests if r.path == "/responses"]


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-4o"])
def test_store_false(client: openai.OpenAI, model: str) -> None:
    """With `store: false`, a response is not stored, and its `store` field shows that."""
    response = client.responses.create(model=model, input="Hi", store=False)

    assert response.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=model, input="x", previous_response_id=response.id)


def test_failed_responses_are_not_remembered(client: openai.OpenAI, simulator: Simulator) -> None:
    """A stream that fails leaves nothing to continue."""
    simulator.state.faults.on("cut_mid_stream", path="/responses")
    *_, last = client.responses.create(model="gpt-5.5", input="Hello", stream=True)
    failed: Any = last

    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(failed.response.id)


def test_two_sign_ins(proxy: Proxy, simulator: Simulator) -> None:
    """A caller with its own sign-in cannot use, read or delete another's responses."""
    tokens = [simulator.state.issue_oauth_token(CLIENT_ID) for _ in range(2)]
    with sdk(proxy, tokens[0]) as own, sdk(proxy, tokens[1]) as other:
        mine = own.responses.create(model="gpt-5.5", input="My secret")
        check_separate(own, other, mine)


def test_two_keys(simulator: Simulator) -> None:
    """Two keys of the server count as two callers."""
    keys = {"laptop": "a-long-key-1", "ci": "a-long-key-2"}
    with (
        Proxy(settings_at(simulator, api_keys=keys)) as proxy,
        sdk(proxy, keys["laptop"]) as own,
        sdk(proxy, keys["ci"]) as other,
    ):
        mine = own.responses.create(model="gpt-4o", input="My secret")
        check_separate(own, other, mine)


def check_separate(own: openai.OpenAI, other: openai.OpenAI, mine: Response) -> None:
    reference: Any = {"type": "item_reference", "id": mine.output[-1].id}
    for use in (
        lambda: other.responses.retrieve(mine.id),
        lambda: other.responses.delete(mine.id),
        lambda: other.responses.input_items.list(mine.id),
        lambda: other.responses.create(model="gpt-4o", input=[reference]),
        lambda: other.responses.create(model="gpt-4o", input="x", previous_response_id=mine.id),
    ):
        with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
            use()
    assert mine.output_text == own.responses.retrieve(mine.id).output_text


def test_off(simulator: Simulator) -> None:
    """If the memory is off, nothing is stored, and each answer says so."""
    with Proxy(settings_at(simulator, responses_memory="false")) as proxy, sdk(proxy) as client:
        raw = client.responses.with_raw_response.create(model="gpt-5.5", input="Hi", store=True)
        response = raw.parse()
        with pytest.raises(openai.BadRequestError) as raised:
            client.responses.create(model="gpt-5.5", input="Hi", previous_response_id=response.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response.id)

    assert response.to_dict()["store"] is False
    assert "dropped store: responses_memory is off" == raw.headers["x-copilot-proxy-notes"]
    assert "responses_memory" in str(raised.value)


def test_workers_are_named(simulator: Simulator) -> None:
    """With several processes, the hint says that each process stores only its own responses."""
    settings = settings_at(simulator, workers=3)
    with (
        Proxy(settings) as proxy,
        sdk(proxy) as client,
        pytest.raises(openai.BadRequestError) as raised,
    ):
        client.responses.create(model="gpt-5.5", input="x", previous_response_id="resp_1")

    assert "3 workers" in str(raised.value)


def test_conversations_are_bounded(simulator: Simulator) -> None:
    """A conversation cannot become larger than a request body may be."""
    settings = settings_at(simulator, max_body_bytes=4000)
    with Proxy(settings) as proxy, sdk(proxy) as client:
        first = client.responses.create(model="gpt-5.5", input="x" * 2500)
        with pytest.raises(openai.APIStatusError) as raised:
            client.responses.create(
                model="gpt-5.5", input="y" * 2500, previous_response_id=first.id
            )

    assert 413 == raised.value.status_code
    assert "request_too_large" == raised.value.code


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5"])
def test_input_tokens(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """Tokens are counted without calling the model, including tokens in earlier items."""
    first = client.responses.create(model=model, input="one two three four five")
    before = len(simulator.state.requests)

    alone = client.responses.input_tokens.with_raw_response.count(
        model=model, input="Hello", tools=[WEATHER]
    )
    more = client.responses.input_tokens.count(
        model=model, input="Hello", tools=[WEATHER], previous_response_id=first.id
    )

    counted = alone.parse()
    assert "response.input_tokens" == counted.object
    assert 10 < counted.input_tokens < more.input_tokens
    assert "estimated" in alone.headers["x-copilot-proxy-notes"]
    assert before == len(simulator.state.requests)
    assert 0 == client.responses.input_tokens.count().input_tokens


@pytest.mark.parametrize("model", PATHS)
def test_compact(client: openai.OpenAI, simulator: Simulator, model: str) -> None:
    """The compacted conversation has the user's messages and a summary, and can be continued."""
    tools: Any = [WEATHER]
    first = client.responses.create(
        model=model, input="Use the tool: weather in Paris", tools=tools
    )
    call = next(one for one in first.output if one.type == "function_call")
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "12"}
    done = client.responses.create(
        model=model, input=[result], tools=tools, previous_response_id=first.id
    )

    compacted = client.responses.compact(
        model=model, input=[{"role": "user", "content": "And now?"}], previous_response_id=done.id
    )
    assert "agent" == simulator.state.requests[-1].initiator
    kinds = [item.type for item in compacted.output]
    assert ["message", "message", "compaction"] == kinds
    assert compacted.usage.output_tokens > 0

    output: list[Any] = [item.to_dict(warnings=False) for item in compacted.output]
    client.responses.create(model=model, input=[*output, {"role": "user", "content": "Go on"}])
    text = sent_text(simulator)
    assert "Summary of the conversation so far" in text
    assert "weather in Paris" in text
    assert "copilot-proxy-summary" not in text


@crossed(model=PATHS, stream=[False, True])
def test_compaction_trigger(
    client: openai.OpenAI, simulator: Simulator, model: str, stream: bool
) -> None:
    """Codex ends the input with a trigger, and gets exactly one item."""
    first = client.responses.create(model=model, input="Remember the number 42")
    asked: Any = {
        "model": model,
        "input": [{"role": "user", "content": "And 43"}, {"type": "compaction_trigger"}],
        "previous_response_id": first.id,
        "tools": [WEATHER],
    }
    if stream:
        events: list[Any] = list(client.responses.create(**asked, stream=True))
        assert [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
        ] == [event.type for event in events]
        assert [0, 1, 2, 3, 4] == [event.sequence_number for event in events]
        response = events[-1].response
    else:
        response = client.responses.create(**asked)
    assert "agent" == simulator.state.requests[-1].initiator
    (item,) = response.output
    assert "compaction" == item.type

    client.responses.create(
        model=model, input=[item.to_dict(), {"role": "user", "content": "Go on"}]
    )
    assert "Summary of the conversation so far" in sent_text(simulator)


def test_a_failed_compaction(client: openai.OpenAI, simulator: Simulator) -> None:
    """A summary that is cut off is an error, never a compaction."""
    simulator.state.faults.on("cut_mid_stream", path="/responses")
    items: Any = [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]
    *begun, last = client.responses.create(model="gpt-5.5", input=items, stream=True)

    assert "response.failed" == last.type
    assert {"response.created", "response.in_progress"} == {event.type for event in begun}
