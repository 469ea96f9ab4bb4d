"""The Completions API, and OpenAI's unsupported APIs."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.test_sdk_openai_responses import PATHS

CHAT = "gpt-4o"


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="x", max_retries=0, http_client=http
    ) as one:
        yield one


def prompts(simulator: Simulator) -> list[str]:
    """Return the prompts that the model received."""
    bodies = [one.body for one in simulator.state.requests if one.path == "/chat/completions"]
    assert all(1 == len(body["messages"]) for body in bodies)
    return [body["messages"][0]["content"] for body in bodies]


def test_a_text(client: openai.OpenAI, simulator: Simulator, proxy: Proxy) -> None:
    """The prompt becomes a user message, and limits and sampling parameters reach the model."""
    answer = client.completions.create(
        model=CHAT, prompt="Say hello", max_tokens=50, stop=["END"], temperature=0.5, seed=1
    )

    (choice,) = answer.choices
    assert ("stop", 0, None) == (choice.finish_reason, choice.index, choice.logprobs)
    assert choice.text.endswith("You said: Say hello")
    assert answer.id.startswith("cmpl-")
    assert ("text_completion", CHAT) == (answer.object, answer.model)
    assert answer.usage is not None
    assert answer.usage.total_tokens > answer.usage.prompt_tokens > 0
    body = simulator.state.requests[-1].body
    assert (50, ["END"], 0.5, 1) == tuple(
        body[name] for name in ("max_tokens", "stop", "temperature", "seed")
    )
    assert {"prompt", "echo", "n", "logprobs", "continuation"}.isdisjoint(body)
    record = proxy.wait_for_record()
    assert ("completions", "user", 1) == (record.api, record.initiator, record.items)


@pytest.mark.parametrize("model", PATHS)
def test_every_model(client: openai.OpenAI, model: str) -> None:
    """Models on every API continue a prompt with the same text, streamed or not."""
    whole = client.completions.create(model=model, prompt="Say hello")
    events = [*client.completions.create(model=model, prompt="Say hello", stream=True)]

    text = "".join(event.choices[0].text for event in events)
    assert whole.choices[0].text == text
    assert "Say hello" in text
    assert [*[None] * (len(events) - 1), "stop"] == [e.choices[0].finish_reason for e in events]
    assert 1 == len({event.id for event in events})
    assert not any(event.usage for event in events)


def test_several_prompts(client: openai.OpenAI, simulator: Simulator, proxy: Proxy) -> None:
    """Each of a prompt's `n` answers is a call with its own record; tokens and costs are summed."""
    raw = client.completions.with_raw_response.create(
        model=CHAT, prompt=["One", "Two"], n=2, echo=True
    )
    answer = raw.parse()

    assert ["One", "One", "Two", "Two"] == prompts(simulator)
    assert [0, 1, 2, 3] == [choice.index for choice in answer.choices]
    for choice, prompt in zip(answer.choices, ("One", "One", "Two", "Two"), strict=True):
        assert choice.text.startswith(f"{prompt}This is")
        assert choice.text.endswith(prompt)
    records = [proxy.wait_for_record(number) for number in range(1, 5)]
    assert 4 == len({record.request_id for record in records})
    assert raw.headers["x-request-id"] == records[0].request_id
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(r.usage["prompt_tokens"] for r in records if r.usage)
    assert answer.usage.completion_tokens == sum(
        record.usage["completion_tokens"] for record in records if record.usage
    )
    paid = sum(r.copilot_usage["total_nano_aiu"] for r in records if r.copilot_usage)
    assert paid == round(float(raw.headers["x-copilot-proxy-cost"]) * 1e9)


def test_a_stream_of_several(client: openai.OpenAI) -> None:
    """The continuations follow each other in one stream, with the totals at the end."""
    events = [
        *client.completions.create(
            model=CHAT,
            prompt=["One", "Two"],
            echo=True,
            stream=True,
            stream_options={"include_usage": True},
        )
    ]

    *texts, last = events
    for index, prompt in enumerate(("One", "Two")):
        joined = "".join(e.choices[0].text for e in texts if e.choices[0].index == index)
        assert joined.startswith(f"{prompt}This is")
    assert [0, 1] == [e.choices[0].index for e in texts if e.choices[0].finish_reason]
    assert ([], 1) == (last.choices, len({event.id for event in events}))
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


@pytest.mark.parametrize("prompt", [[9906, 1917], [[9906, 1917]]], ids=["one", "list"])
def test_token_ids(client: openai.OpenAI, simulator: Simulator, prompt: Any) -> None:
    """Token ids become text, and a note mentions the encoding."""
    raw = client.completions.with_raw_response.create(model=CHAT, prompt=prompt)

    assert ["Hello world"] == prompts(simulator)
    assert "cl100k_base" in raw.headers["x-copilot-proxy-notes"]


async def test_async(proxy: Proxy) -> None:
    """The asynchronous SDK can stream, and disconnect mid-stream."""
    http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    url = f"{proxy.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="x", http_client=http) as one:
        answer = await one.completions.create(model=CHAT, prompt="Say hello")
        assert "Say hello" in answer.choices[0].text
        stream = await one.completions.create(model=CHAT, prompt="Write 9 words", stream=True)
        assert [event async for event in stream]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("logprobs", 1, "unsupported_parameter"),
        ("logprobs", 0, "unsupported_parameter"),
        ("suffix", "x", "unsupported_parameter"),
        ("best_of", 3, "unsupported_parameter"),
        ("prompt", "", "invalid_value"),
        ("prompt", [], "invalid_value"),
        ("prompt", ["x", ""], "invalid_value"),
        ("prompt", ["x", 1], "invalid_value"),
        ("prompt", [99_999_999], "invalid_value"),
        ("prompt", {"x": 1}, "invalid_type"),
        ("prompt", None, "invalid_type"),
        ("prompt", ["x"] * 129, "invalid_value"),
        ("n", 0, "invalid_value"),
        ("n", 129, "invalid_value"),
        ("max_tokens", 0, "invalid_value"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_refused(proxy: Proxy, simulator: Simulator, field: str, value: Any, code: str) -> None:
    """Unsupported fields are refused with a reason, and the model is not called."""
    with proxy.client() as http:
        answer = http.post("/v1/completions", json={"model": CHAT, "prompt": "x", field: value})

    error = answer.json()["error"]
    assert (400, code) == (answer.status_code, error["code"])
    assert error["param"] in (field, "prompt")
    assert error["hint"]
    assert [] == [one for one in simulator.state.requests if one.path == "/chat/completions"]


@pytest.mark.parametrize("more", [{"best_of": 1}, {"best_of": 2, "n": 2}, {"suffix": ""}])
def test_harmless(client: openai.OpenAI, more: dict[str, Any]) -> None:
    """Values that match the default behavior are accepted."""
    assert client.completions.create(model=CHAT, prompt="x", **more).choices


def test_a_failure_in_between(client: openai.OpenAI, simulator: Simulator) -> None:
    """If a later call fails, the error says what was charged, and the client does not retry."""
    simulator.state.pace = 0.05
    prompts = ["Write 600 words", "Two", "Six"]
    stream = iter(client.completions.create(model=CHAT, prompt=prompts, stream=True))
    next(stream)
    simulator.state.faults.on("server_error_500")
    simulator.state.pace = 0
    with pytest.raises(openai.APIError) as failed:
        for _ in stream:
            pass
    assert "Answered and charged: 1 of 3 continuations" in failed.value.message

    with pytest.raises(openai.APIStatusError) as whole:
        client.completions.create(model=CHAT, prompt=["One", "Two"])
    assert "continuations" not in whole.value.message


UNSUPPORTED = {
    "moderations": ("POST", "/v1/moderations"),
    "images": ("POST", "/v1/images/generations"),
    "videos": ("POST", "/v1/videos"),
    "audio": ("POST", "/v1/audio/transcriptions"),
    "realtime": ("GET", "/v1/realtime"),
    "files": ("GET", "/v1/files"),
    "uploads": ("POST", "/v1/uploads/x/cancel"),
    "batches": ("POST", "/v1/batches"),
    "assistants": ("GET", "/v1/assistants"),
    "threads": ("POST", "/v1/threads/x/runs"),
    "conversations": ("POST", "/v1/conversations"),
    "fine_tuning": ("POST", "/v1/fine_tuning/jobs"),
    "vector_stores": ("POST", "/v1/vector_stores"),
    "containers": ("GET", "/v1/containers"),
    "evals": ("GET", "/v1/evals"),
    "rerank": ("POST", "/v1/rerank"),
    "complete": ("POST", "/v1/complete"),
    "skills": ("GET", "/v1/skills"),
}


def test_apis_that_copilot_lacks(proxy: Proxy) -> None:
    """The error names the missing API and an alternative."""
    with proxy.client() as http:
        for name, (method, path) in UNSUPPORTED.items():
            for one in (path, path.removeprefix("/v1"), f"/c/me{path}/"):
                answer = http.request(method, one)
                error = answer.json()["error"]
                assert (404, f"{name}_not_supported") == (answer.status_code, error["code"])
                assert error["hint"]
        assert "unknown_url" == http.get("/v1/nothing").json()["error"]["code"]


def test_the_sdk_raises_its_error(client: openai.OpenAI) -> None:
    """The SDK raises its usual error for missing resources."""
    with pytest.raises(openai.NotFoundError, match="Copilot has no moderation model"):
        client.moderations.create(input="x")


def test_anthropics_batches(proxy: Proxy) -> None:
    """An Anthropic client receives the same error in its own format."""
    headers = {"anthropic-version": "2023-06-01"}
    with proxy.client(headers=headers) as http:
        answer = http.post("/v1/messages/batches", json={})
        also = http.get("/moderations")

    assert (404, "error") == (answer.status_code, answer.json()["type"])
    assert "Copilot does not support batches" in json.dumps(answer.json())
    assert "moderations_not_supported" in also.text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("v1beta/cachedContents", "CACHED_CONTENTS"),
        ("v1beta/tunedModels", "FINE_TUNING"),
        ("v1beta/files", "FILES"),
        ("upload/v1beta/files", "FILES"),
        ("v1beta/interactions", "INTERACTIONS"),
    ],
)
def test_apis_that_only_google_has(proxy: Proxy, path: str, reason: str) -> None:
    """A Gemini client receives the same error in its own format."""
    with proxy.client(headers={"x-goog-api-key": "unused"}) as http:
        error = http.post(f"/{path}", json={}).json()["error"]

    assert (404, f"{reason}_NOT_SUPPORTED") == (error["code"], error["details"][0]["reason"])


def test_keys(simulator: Simulator) -> None:
    """A key is required, and its limits apply."""
    keys = {"ci": {"key": "ci-key-0123456789", "models": ["gpt-5.5"]}}
    with Proxy(settings_at(simulator, api_keys=keys)) as proxy, proxy.client() as http:
        headers = {"authorization": "Bearer ci-key-0123456789"}
        body = {"model": CHAT, "prompt": ["x", "y"]}
        assert 403 == http.post("/v1/completions", json=body, headers=headers).status_code
        assert 401 == http.post("/v1/completions", json=body).status_code
