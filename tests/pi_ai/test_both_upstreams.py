"""The promises to clients, with either upstream: this program's own, or pi-ai."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest

from tests.conftest import NO_TLS
from tests.matrix_clients import PNG, SCHEMA
from tests.pi_ai.conftest import Served
from tests.selection import crossed, every_value

MODELS = ("gpt-4.1", "gpt-5.4", "claude-sonnet-4.5", "gemini-2.5-pro")
"""Models that cover all vendors and all of Copilot's APIs."""
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather", "parameters": SCHEMA},
}
CHAT = "/v1/chat/completions"


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.proxy.client() as client:
        yield client


@pytest.fixture
def sdk(served: Served) -> Iterator[openai.OpenAI]:
    url = f"{served.proxy.url}/v1"
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(base_url=url, api_key="unused", max_retries=0, http_client=http) as client:
        yield client


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def last_request(served: Served) -> Any:
    """Return the last request to the simulator."""
    return served.simulator.state.requests[-1]


@pytest.mark.parametrize("model", MODELS)
def test_text(sdk: openai.OpenAI, served: Served, model: str) -> None:
    """An answer has text, a finish reason and usage; the request has the right initiator."""
    answer = sdk.chat.completions.create(
        model=model, messages=[{"role": "system", "content": "Be brief"}, *user("Say hello")]
    )

    (choice,) = answer.choices
    assert "You said: Say hello" in (choice.message.content or "")
    assert ("stop", model) == (choice.finish_reason, answer.model)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    headers = last_request(served).headers
    assert ("user", "vscode-chat") == (
        last_request(served).initiator,
        headers["copilot-integration-id"],
    )
    assert headers["user-agent"].startswith("g-copilot-proxy/")
    assert "Be brief" in json.dumps(last_request(served).body)


@pytest.mark.parametrize("model", [*MODELS, "claude-opus-5"])
def test_later_system_messages(sdk: openai.OpenAI, served: Served, model: str) -> None:
    """A later system message stays in the conversation, so that what precedes it stays cached."""
    earlier = [*user("Hello"), {"role": "assistant", "content": "Yes?"}]
    sdk.chat.completions.create(
        model=model,
        messages=[*earlier, {"role": "system", "content": "Be brief"}, *user("Say hello")],
    )

    body = last_request(served).body
    turns = body.get("messages") or body.get("input")
    roles = [turn["role"] for turn in turns]
    expected = ["user", "assistant", "system", "user"]
    if "claude-opus" in model:
        expected = ["user", "assistant", "user", "system"]
    elif "claude" in model and served.upstream == "pi-ai":
        expected = ["user", "assistant", "user"]
    assert expected == ["system" if role == "developer" else role for role in roles]


@pytest.mark.parametrize("model", MODELS)
def test_streams(sdk: openai.OpenAI, model: str) -> None:
    """A stream has one id, arrives in pieces, and ends with one finish reason and the usage."""
    chunks = list(
        sdk.chat.completions.create(
            model=model,
            messages=user("Count to five"),
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    assert 1 == len({chunk.id for chunk in chunks})
    pieces = [c.choices[0].delta.content for c in chunks if c.choices]
    assert "Count to five" in "".join(piece or "" for piece in pieces)
    assert len([piece for piece in pieces if piece]) > 3
    assert ["stop"] == [
        c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason
    ]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


@crossed(model=MODELS, stream=[False, True])
def test_the_tool_loop(sdk: openai.OpenAI, served: Served, model: str, stream: bool) -> None:
    """Each of two parallel calls has its own arguments, and the model answers their results."""
    messages = user("What is the weather in Paris and London?")
    fields: Any = {"model": model, "tools": [TOOL]}
    if stream:
        with sdk.chat.completions.stream(messages=messages, **fields) as events:
            completion: Any = events.get_final_completion()
    else:
        completion = sdk.chat.completions.create(messages=messages, **fields)
    (choice,) = completion.choices
    calls = choice.message.tool_calls
    cities = [json.loads(call.function.arguments)["city"] for call in calls]
    assert ("tool_calls", ["Paris", "London"]) == (choice.finish_reason, cities)
    assert 2 == len({call.id for call in calls})

    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {city}"}
        for call, city in zip(calls, cities, strict=True)
    ]
    message: Any = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
    answer = sdk.chat.completions.create(messages=[*messages, message, *results], **fields)

    said = answer.choices[0].message.content or ""
    assert "sunny in Paris" in said
    assert "sunny in London" in said
    assert "agent" == last_request(served).initiator


@pytest.mark.parametrize("model", MODELS)
def test_the_initiator_follows_our_rule(http: httpx.Client, served: Served, model: str) -> None:
    """A result without its call is rephrased for the model, and counts as an agent's turn."""
    lost = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}

    answer = http.post(CHAT, json={"model": model, "messages": [*user("Hi"), lost]})

    assert 200 == answer.status_code
    assert "agent" == last_request(served).initiator


@crossed(
    choice=["required", {"type": "function", "function": {"name": "get_weather"}}], model=MODELS
)
def test_a_forced_tool_is_called(sdk: openai.OpenAI, model: str, choice: Any) -> None:
    """The tool choice reaches the model on every API."""
    answer = sdk.chat.completions.create(
        model=model, messages=user("Say hello"), tools=[TOOL], tool_choice=choice
    )

    assert answer.choices[0].message.tool_calls


@pytest.mark.parametrize("model", MODELS)
def test_images(sdk: openai.OpenAI, served: Served, model: str) -> None:
    """An image reaches the model unchanged, with the vision header."""
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    answer = sdk.chat.completions.create(
        model=model, messages=[{"role": "user", "content": content}]
    )

    assert answer.choices[0].message.content
    assert last_request(served).vision
    assert PNG in json.dumps(last_request(served).body)


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-4.6", "gemini-3.1-pro-preview"])
def test_reasoning_is_shown_and_sent_back(http: httpx.Client, served: Served, model: str) -> None:
    """The client receives the model's reasoning, and the model receives it back in the next turn.

    This works even if the client does not send the reasoning back.
    """
    request = {
        "model": model,
        "reasoning_effort": "low",
        "tools": [TOOL],
        "messages": user("What is the weather in Paris?"),
    }
    message = http.post(CHAT, json=request).json()["choices"][0]["message"]
    assert message["reasoning_content"]
    seal = message["reasoning_opaque"].split(":")[-1]

    (call,) = message["tool_calls"]
    plain = {name: message[name] for name in ("role", "content", "tool_calls")}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    again = {**request, "messages": [*request["messages"], plain, result]}
    answer = http.post(CHAT, json=again)

    assert 200 == answer.status_code, answer.text
    assert seal in json.dumps(last_request(served).body)


def test_reasoning_that_is_sent_only_at_the_end(http: httpx.Client, served: Served) -> None:
    """Reasoning that only arrives at the end is also shown."""
    served.simulator.state.faults.on("no_reasoning_deltas")
    request = {"model": "gpt-5.4", "reasoning_effort": "low", "messages": user("Think")}

    message = http.post(CHAT, json=request).json()["choices"][0]["message"]

    assert message["reasoning_content"]


def test_other_clients(served: Served, sdk: openai.OpenAI) -> None:
    """Responses and Messages clients also work."""
    response = sdk.responses.create(model="gpt-4.1", input="Say hello")
    assert "Say hello" in response.output_text

    with anthropic.Anthropic(base_url=served.proxy.url, api_key="x", max_retries=0) as claude:
        message = claude.messages.create(
            model="claude-sonnet-4.5", max_tokens=200, messages=user("Say hello")
        )
        counted = claude.messages.count_tokens(model="claude-sonnet-4.5", messages=user("Hello"))
    assert "Say hello" in message.content[0].text  # type: ignore[union-attr]  # it is a text
    assert counted.input_tokens > 0
    assert "/v1/messages/count_tokens" == last_request(served).path


def test_models_and_embeddings(sdk: openai.OpenAI) -> None:
    """With either upstream, the account's models are listed, and embeddings work."""
    assert "gpt-4.1" in {model.id for model in sdk.models.list()}
    answer = sdk.embeddings.create(model="text-embedding-3-small", input="Hello")
    assert answer.data[0].embedding


@every_value
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("quota_exceeded", 400, "insufficient_quota"),
        ("prompt_too_long", 400, "context_length_exceeded"),
        ("filtered_422", 400, "content_filter"),
        ("server_error_500", 500, None),
        ("bad_gateway_html", 502, None),
        ("cut_before_headers", 502, "upstream_unreachable"),
    ],
)
def test_refusals(
    http: httpx.Client, served: Served, fault: str, status: int, code: str | None, stream: bool
) -> None:
    """Refusals have the same status, code and hint, and are not retried."""
    # Refusals that start a cooldown use a separate model.
    cooling = {"rate_limited": ("gpt-4o", "gpt-4o-mini"), "quota_exceeded": ("gpt-4", "gpt-4-0613")}
    model = cooling.get(fault, ("gpt-4.1", "gpt-4.1"))[stream]
    served.simulator.state.faults.on(fault, path="/chat/completions")

    request = {"model": model, "messages": user("Hi"), "stream": stream}
    answer = http.post(CHAT, json=request)

    error = answer.json()["error"]
    assert (status, True) == (answer.status_code, bool(error["hint"])), error
    assert code is None or code == error["code"]
    assert 1 == len([r for r in served.simulator.state.requests if r.method == "POST"])


@pytest.mark.parametrize(
    ("fault", "code"), [("html_instead", "upstream_broken"), ("json_error_instead_of_sse", None)]
)
def test_a_page_or_error_instead_of_a_stream(
    http: httpx.Client, served: Served, fault: str, code: str | None
) -> None:
    """A web page or an error in place of a stream is a failure.

    This is true even if only pi-ai, not the client, requested the stream.
    """
    served.simulator.state.faults.on(fault, path="/chat/completions")
    for stream in [True] if served.upstream == "copilot" else [True, False]:
        request = {"model": "gpt-4.1", "messages": user("Hi"), "stream": stream}
        answer = http.post(CHAT, json=request)

        error = answer.json()["error"]
        assert (502, True) == (answer.status_code, bool(error["hint"])), error
        assert code is None or code == error["code"]


@crossed(
    model=["gpt-4.1", "gpt-5.4", "claude-sonnet-4.5"],
    fault=["cut_mid_stream", "end_early", "cut_mid_event", "error_chunk", "empty_stream"],
)
def test_an_incomplete_answer_is_an_error(
    http: httpx.Client, served: Served, fault: str, model: str
) -> None:
    """A client that waits for a whole answer gets an error instead of part of it."""
    served.simulator.state.faults.on(fault)
    request = {"model": model, "messages": user("Hi"), "stream": True}
    with http.stream("POST", CHAT, json=request) as answer:
        text = answer.read().decode()

    assert '"error"' in text
    assert '"finish_reason":"stop"' not in text


@pytest.mark.parametrize(
    ("fault", "finish", "model"),
    [
        (fault, finish, model)
        for fault, finish in (
            ("content_filter", "content_filter"),
            ("json_instead_of_sse", "stop"),
            ("cut_after_finish", "stop"),
        )
        for model in ("gpt-4.1", "gpt-5.4", "claude-sonnet-4.5")
        # A response finishes with its last event, so nothing after the finish can be missing.
        if (fault, model) != ("cut_after_finish", "gpt-5.4")
    ],
)
def test_unusual_ends(
    http: httpx.Client, served: Served, fault: str, finish: str, model: str
) -> None:
    """A filtered answer is marked as filtered, and a complete answer is accepted in any form."""
    served.simulator.state.faults.on(fault)
    request = {"model": model, "messages": user("Say hello"), "stream": True}

    with http.stream("POST", CHAT, json=request) as answer:
        text = answer.read().decode()

    assert '"error"' not in text
    assert f'"finish_reason":"{finish}"' in text
    assert "hello" in text


def test_an_end_without_a_finish_reason(http: httpx.Client, served: Served) -> None:
    """A stream that ends properly but without a finish reason is a complete answer."""
    served.simulator.state.faults.on("no_finish")

    answer = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Say hello")})

    (choice,) = answer.json()["choices"]
    assert "stop" == choice["finish_reason"]
    assert "hello" in choice["message"]["content"]


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_price_is_passed_on(http: httpx.Client, model: str, stream: bool) -> None:
    """The client receives the token counts, and GitHub's charge for the answer."""
    request: Any = {"model": model, "messages": user("Say hello"), "stream": stream}
    if stream:
        request["stream_options"] = {"include_usage": True}

    text = http.post(CHAT, json=request).text

    last = text.split("data: ")[-2] if stream else text
    body = json.loads(last)
    assert body["copilot_usage"]["total_nano_aiu"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.5"])
def test_a_refusal_is_explained(http: httpx.Client, served: Served, model: str) -> None:
    """The client receives the model's explanation of its refusal."""
    served.simulator.state.faults.on("refusal")

    answer = http.post(CHAT, json={"model": model, "messages": user("Say hello")})

    (choice,) = answer.json()["choices"]
    assert "content_filter" == choice["finish_reason"]
    assert choice["message"]["refusal"]


def test_a_limit_that_was_reached_is_reported(sdk: openai.OpenAI) -> None:
    """An answer cut off at its limit is marked as cut off, and has usage."""
    for model in ("gpt-4.1", "gpt-5.4", "claude-sonnet-4.5"):
        answer = sdk.chat.completions.create(
            model=model, messages=user("word " * 200), max_completion_tokens=20
        )
        assert "length" == answer.choices[0].finish_reason
        assert answer.usage is not None
        assert answer.usage.completion_tokens


def test_requests_are_not_retried(http: httpx.Client, served: Served) -> None:
    """After a 421, the request is retried only with a new token."""
    served.simulator.state.faults.on("misdirected_421")

    answer = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Hi")})

    assert "another host" in answer.json()["error"]["hint"]
    tokens = [
        r.headers["authorization"] for r in served.simulator.state.requests if r.method == "POST"
    ]
    assert len(tokens) == len(set(tokens))


@pytest.mark.parametrize("fault", ["error_first_chunk", "cut_after_headers", "empty_stream"])
def test_a_failure_before_the_first_word_has_a_status(
    http: httpx.Client, served: Served, fault: str
) -> None:
    """A failure before the first text results in an error status instead of a stream."""
    served.simulator.state.faults.on(fault)

    request = {"model": "gpt-4.1", "messages": user("Hi"), "stream": True}
    answer = http.post(CHAT, json=request)

    assert 502 == answer.status_code
    assert "false" == answer.headers["x-should-retry"]


@pytest.mark.parametrize(
    "fault", ["usage_nowhere", "comments", "one_byte_writes", "crlf", "gzip", "no_done"]
)
def test_odd_answers_that_are_complete(http: httpx.Client, served: Served, fault: str) -> None:
    """Harmless quirks of an answer have no effect."""
    served.simulator.state.faults.on(fault)

    answer = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Say hello")})

    assert "Say hello" in answer.json()["choices"][0]["message"]["content"]


def test_conversations_are_not_logged(
    http: httpx.Client, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Conversations are never logged, even if Copilot's answer is malformed."""
    for fault in ("invalid_json_event", "invalid_utf8"):
        served.simulator.state.faults.on(fault, times=1)
        http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Mind the raspberries")})
    # The process writes its log before its answer, so the log has arrived by now.
    http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Mind the raspberries")})

    assert "raspberries" not in caplog.text
    assert "choices" not in caplog.text


def test_an_old_token_is_renewed_once(http: httpx.Client, served: Served) -> None:
    """A refused token is renewed, and the request retried once."""
    served.simulator.state.faults.on("token_expired", times=1, path="/chat/completions")

    answer = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Hi")})

    assert 200 == answer.status_code
    posts = [r for r in served.simulator.state.requests if r.path == "/chat/completions"]
    assert [401, 200] == [r.status for r in posts]
    assert posts[0].headers["authorization"] != posts[1].headers["authorization"]


def test_a_limit_starts_a_cooldown(http: httpx.Client, served: Served) -> None:
    """After a refusal with a wait, Copilot is not called until the wait is over."""
    served.simulator.state.faults.on("user_model_rate_limited", value=30, times=1)
    request = {"model": "gpt-3.5-turbo", "messages": user("Hi")}

    refusals = [http.post(CHAT, json=request) for _ in range(2)]

    assert [429, 429] == [answer.status_code for answer in refusals]
    assert 1 == len([r for r in served.simulator.state.requests if r.method == "POST"])
    assert "gpt-3.5-turbo" in http.get("/health").text


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4", "claude-sonnet-4.5"])
def test_leaving_closes_the_call(
    http: httpx.Client, served: Served, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a client disconnects during the answer, the model stops immediately."""
    monkeypatch.setattr(served.simulator.state, "middle", 20)  # events, so that some have text
    served.simulator.state.faults.on("stall_mid_stream")
    request = {"model": model, "messages": user("Hi"), "stream": True}
    with http.stream("POST", CHAT, json=request) as answer:
        next(answer.iter_bytes())

    record = served.simulator.state.recorder.wait_for(lambda r: r.method == "POST")
    assert record.done.wait(60)
    assert record.closed_by_client


def test_leaving_before_the_answer_closes_the_call(served: Served) -> None:
    """When a client disconnects before the status, the model also stops immediately."""
    served.simulator.state.faults.on("stall_before_headers")
    body = json.dumps({"model": "gpt-4.1", "messages": user("Hi")})
    host, _, port = served.proxy.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 60) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        client.sendall((head + body).encode())
        record = served.simulator.state.recorder.wait_for(lambda r: r.method == "POST")

    assert record.done.wait(60)
    assert record.closed_by_client


def test_many_at_once(served: Served) -> None:
    """Each of thirty concurrent conversations gets its own answer."""

    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        stream = await client.chat.completions.create(
            model=MODELS[number % 4], messages=user(f"Number {number}."), stream=True
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_of_them() -> list[str]:
        url = f"{served.proxy.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(one(client, n) for n in range(30)))

    for number, text in enumerate(asyncio.run(all_of_them())):
        assert f"Number {number}." in text


def test_a_client_that_does_not_read_does_not_delay_others(
    http: httpx.Client, served: Served
) -> None:
    """A client that stops reading does not delay others, and gets its whole stream later."""
    words = " ".join(f"w{n}" for n in range(20_000))
    request = {"model": "gpt-4.1", "messages": user(words)}
    whole = http.post(CHAT, json=request).json()["choices"][0]["message"]["content"]
    with http.stream("POST", CHAT, json={**request, "stream": True}) as slow:
        pieces = slow.iter_lines()
        next(pieces)
        other = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Quick one")})
        assert "Quick one" in other.text
        text = "".join(
            choice["delta"].get("content") or ""
            for line in pieces
            if line.startswith("data: {")
            for choice in json.loads(line[6:])["choices"]
        )
    assert whole == text


def test_the_route_and_the_log_name_the_upstream(http: httpx.Client, served: Served) -> None:
    """A header and the log name the route of an answer, and /health names the upstream."""
    answer = http.post(CHAT, json={"model": "gpt-4.1", "messages": user("Hi")})

    route = {"copilot": "chat_completions", "pi-ai": "pi_ai"}[served.upstream]
    assert route == answer.headers["x-copilot-proxy-route"]
    assert route == served.proxy.wait_for_record().route
    assert served.upstream == http.get("/health").json()["upstream"]


@pytest.mark.parametrize("model", MODELS)
def test_ollama(served: Served, model: str) -> None:
    """Ollama clients receive a streamed call, and its result reaches the model without ids."""
    messages: list[Any] = user("What is the weather in Rome?")
    with ollama.Client(served.proxy.url, verify=NO_TLS, trust_env=False) as client:
        parts = list(client.chat(f"{model}:latest", messages, tools=[TOOL], stream=True))
        (call,) = [call for part in parts for call in part.message.tool_calls or ()]
        assert {"city": "Rome"} == call.function.arguments
        assert (True, "stop") == (parts[-1].done, parts[-1].done_reason)
        assert (parts[-1].eval_count or 0) > 0
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_name": "get_weather", "content": "12 degrees"})
        last = client.chat(model, messages, tools=[TOOL])

    assert "12 degrees" in str(last.message.content)
    assert "agent" == last_request(served).initiator
