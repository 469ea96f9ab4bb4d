"""Each vendor's format of chat completions, streamed and whole."""

import json

import pytest

from tests.simulator.chunks import ASK, MODELS, calls_of, finishes, text_of


@pytest.mark.parametrize("model", MODELS.values())
def test_streams_and_whole_answers_are_equal(copilot, model):
    """Both forms have the same text and one finish reason, and the stream ends with [DONE]."""
    chunks = copilot.chunks(model=model)
    assert copilot.said(model=model) == text_of(chunks)
    assert (["stop"], "[DONE]") == (finishes(chunks), chunks[-1])
    assert len(chunks) > 5


@pytest.mark.parametrize("model", MODELS.values())
def test_streams_are_labeled(copilot, model):
    """A stream has the content type of an event stream, and contains data lines only."""
    answer = copilot.chat(model=model, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert {"data"} == {line.split(":")[0] for line in answer.text.splitlines() if line}
    assert "x-quota-snapshot-premium_interactions" in answer.headers


def test_fields_of_azures_whole_answers(copilot):
    """`object` and `logprobs` are missing; padding, filters and fingerprint are added."""
    body = copilot.chat().json()
    assert "object" not in body
    choice = body["choices"][0]
    assert {"finish_reason", "index", "content_filter_results", "message"} == set(choice)
    assert {"content", "padding", "role"} == set(choice["message"])
    assert ("gpt-4o-2024-11-20", True) == (body["model"], body["id"].startswith("chatcmpl-"))
    assert {"prompt_filter_results", "system_fingerprint", "copilot_usage"} <= set(body)
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


def test_azure_tool_calls_have_no_content(copilot, weather_tool):
    """With tool calls, the content is missing instead of null, and the filters are empty."""
    choice = copilot.chat(ASK, tools=[weather_tool]).json()["choices"][0]
    assert "content" not in choice["message"]
    assert ({}, "tool_calls") == (choice["content_filter_results"], choice["finish_reason"])
    assert 2 == len(choice["message"]["tool_calls"])


def test_azure_streams_begin_without_choices(copilot):
    """The first chunk has no choices and an empty id; later chunks have no `object`."""
    chunks = copilot.chunks()
    assert ([], "", 0) == (chunks[0]["choices"], chunks[0]["id"], chunks[0]["created"])
    assert "prompt_filter_results" in chunks[0]
    assert not any("object" in chunk for chunk in chunks[1:-1])
    assert not any("finish_reason" in chunk["choices"][0] for chunk in chunks[1:-2])
    assert {"usage", "copilot_usage"} <= set(chunks[-2])
    assert 1 == sum("usage" in chunk for chunk in chunks[:-1])


def test_azure_usage_with_include_usage(copilot):
    """With include_usage, chunks have `object` and a null usage; the last chunk has the counts."""
    chunks = copilot.chunks(stream_options={"include_usage": True})
    assert {"chat.completion.chunk"} == {chunk["object"] for chunk in chunks[1:-1]}
    assert {None} == {chunk["usage"] for chunk in chunks[1:-2]}
    assert ([], True) == (chunks[-2]["choices"], chunks[-2]["usage"]["total_tokens"] > 0)
    assert all("finish_reason" in chunk["choices"][0] for chunk in chunks[1:-2])


def test_azure_calls_begin_with_empty_arguments(copilot, weather_tool):
    """The id and name are sent once, then fragments of the arguments, with the call's index."""
    fragments = calls_of(copilot.chunks(ASK, tools=[weather_tool]))
    first = [one for one in fragments if "id" in one]
    assert [0, 1] == [one["index"] for one in first]
    assert [""] * 2 == [one["function"]["arguments"] for one in first]
    joined = [
        "".join(f["function"]["arguments"] for f in fragments if f["index"] == i) for i in (0, 1)
    ]
    assert [{"city": "Paris"}, {"city": "London"}] == [json.loads(one) for one in joined]


def test_azure_returns_several_choices(copilot):
    """GPT honors `n` in whole and streamed answers."""
    assert [0, 1] == [one["index"] for one in copilot.chat(n=2).json()["choices"]]
    chunks = copilot.chunks(n=2)
    indices = {choice["index"] for chunk in chunks[:-1] for choice in chunk["choices"]}
    assert ({0, 1}, ["stop"] * 2) == (indices, finishes(chunks))


def test_claude_splits_answers_into_choices(copilot, weather_tool):
    """Text and calls are in separate choices, without an index, with the same finish reason."""
    body = copilot.chat(ASK, MODELS["claude"], tools=[weather_tool]).json()
    assert 3 == len(body["choices"])
    assert ["tool_calls"] * 3 == [one["finish_reason"] for one in body["choices"]]
    assert not any("index" in choice for choice in body["choices"])
    assert [False, True, True] == ["tool_calls" in one["message"] for one in body["choices"]]
    assert (36, False) == (len(body["id"]), "object" in body)
    ids = [one["message"]["tool_calls"][0]["id"] for one in body["choices"][1:]]
    assert [True] * 2 == [one.startswith("tooluse_") for one in ids]


def test_claude_calls_begin_without_arguments(copilot, weather_tool):
    """The first fragment lacks `arguments`; the next one has an empty string."""
    fragments = calls_of(copilot.chunks(ASK, MODELS["claude"], tools=[weather_tool]))
    assert {"name": "get_weather"} == fragments[0]["function"]
    assert {"function": {"arguments": ""}, "index": 0, "type": "function"} == fragments[1]
    assert 2 == sum("id" in one for one in fragments)
    assert {"function"} == {one["type"] for one in fragments}


def test_claude_reasons_on_request(copilot):
    """Reasoning is sent as text and a signature before the answer, but only on request."""
    chunks = copilot.chunks(model="claude-sonnet-4.6", reasoning_effort="high")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert "Reading" in "".join(delta.get("reasoning_text", "") for delta in deltas)
    assert 1 == sum("reasoning_opaque" in delta for delta in deltas)
    body = copilot.chat(model="claude-sonnet-4", thinking_budget=2000).json()
    assert {"reasoning_text", "reasoning_opaque"} <= set(body["choices"][0]["message"])
    plain = copilot.chat(model="claude-sonnet-4").json()
    assert {"content", "role"} == set(plain["choices"][0]["message"])


def test_claude_has_a_default_limit(copilot):
    """Without max_tokens, Claude has a default limit, and GPT has none."""

    def finish(model, **fields):
        answer = copilot.chat("Write 4000 words", model, **fields).json()
        return answer["choices"][0]["finish_reason"]

    assert "length" == finish(MODELS["claude"])
    assert "stop" == finish(MODELS["claude"], max_tokens=16000)
    assert "stop" == finish(MODELS["azure"])


def test_gemini_sends_a_usage_on_every_chunk(copilot):
    """Usage is zero until the last chunk; the total includes the reasoning."""
    chunks = copilot.chunks(model=MODELS["gemini"])[:-1]
    assert {0} == {chunk["usage"]["total_tokens"] for chunk in chunks[:-1]}
    usage = chunks[-1]["usage"]
    assert usage["reasoning_tokens"] > 0
    assert (
        usage["prompt_tokens"] + usage["completion_tokens"] + usage["reasoning_tokens"]
        == usage["total_tokens"]
    )


def test_gemini_calls_are_complete_and_in_the_last_delta(copilot, weather_tool):
    """One delta has all calls, the signature and the finish reason."""
    chunks = copilot.chunks(ASK, MODELS["gemini"], tools=[weather_tool])[:-1]
    assert "reasoning_text" in chunks[0]["choices"][0]["delta"]
    last = chunks[-1]["choices"][0]
    assert "tool_calls" == last["finish_reason"]
    assert {"content", "role", "tool_calls", "reasoning_opaque"} == set(last["delta"])
    assert [0, 1] == [one["index"] for one in last["delta"]["tool_calls"]]
    message = copilot.chat(ASK, MODELS["gemini"], tools=[weather_tool]).json()["choices"][0][
        "message"
    ]
    assert {"content", "role", "tool_calls", "reasoning_text", "reasoning_opaque"} == set(message)


def test_gpt5_hides_its_reasoning(copilot):
    """Only the number of reasoning tokens is shown."""
    usage = copilot.chat(model="gpt-5-mini").json()["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] > 0
    quiet = copilot.chat(model="gpt-5.1", reasoning_effort="none").json()["usage"]
    assert "reasoning_tokens" not in quiet["completion_tokens_details"]


def test_cached_tokens_are_reported(copilot):
    """Most of a long conversation's prompt is reported as cached."""
    said = {"role": "assistant", "content": "Well."}
    messages = [{"role": "user", "content": "x" * 8000}, said, {"role": "user", "content": "Hi"}]
    usage = copilot.chat(messages=messages).json()["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def test_the_price_matches_the_tokens(copilot):
    """The total of copilot_usage is the sum of its parts at the model's prices."""
    body = copilot.chat(model="claude-opus-4.7").json()
    details = body["copilot_usage"]["token_details"]
    assert {"input": 500_000_000_000, "output": 2500_000_000_000} == {
        one["token_type"]: one["cost_per_batch"] for one in details
    }
    total = sum(one["token_count"] * one["cost_per_batch"] // 1_000_000 for one in details)
    assert total == body["copilot_usage"]["total_nano_aiu"]
