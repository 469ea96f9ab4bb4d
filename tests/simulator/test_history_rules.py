"""Tool calls and results that vendors refuse, each with a specific message."""

import json
from typing import Any

import pytest

USER = {"role": "user", "content": "Hi"}
PATTERN = "String should match pattern '^[a-zA-Z0-9_-]+$'"


def chat(copilot, model, id="call_1", arguments="{}"):
    call = {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}
    asks = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": id, "content": "Sunny"}
    body = {"model": model, "messages": [USER, asks, result]}
    return copilot.post("/chat/completions", body)


def messages(copilot, blocks, id="toolu_1", input=None):
    use = {"type": "tool_use", "id": id, "name": "f", "input": input or {}}
    turns = [USER, {"role": "assistant", "content": [use]}, {"role": "user", "content": blocks}]
    body = {"model": "claude-sonnet-4.5", "max_tokens": 500, "messages": turns}
    return copilot.post("/v1/messages", body)


def result(id="toolu_1"):
    return {"type": "tool_result", "tool_use_id": id, "content": "Sunny"}


def message_of(answer):
    """Return the message of a refusal."""
    assert 400 == answer.status_code, answer.text
    return json.loads(answer.text)["error"]["message"]


@pytest.mark.parametrize(
    ("model", "id", "arguments", "words"),
    [
        ("mai-code-1", "x" * 41, "{}", "maximum length 40"),
        ("gpt-4o", "x" * 41, "{}", "string too long. Expected a string with maximum length 40"),
        ("claude-sonnet-4.5", "functions.f:0", "{}", PATTERN),
        ("claude-sonnet-4.5", "", "{}", PATTERN),
        ("gpt-4o", "a", '{"a": 1', "arguments are not valid JSON"),
        ("gemini-2.5-pro", "a", '{"a": 1', "arguments are not valid JSON"),
        ("gpt-4o", "a", "[" * 6000, "arguments are not valid JSON"),
        ("claude-sonnet-4.5", "a", "42", "tool_use.input: Input should be a valid dictionary"),
        ("gemini-2.5-pro", "a", "null", "tool_use.input: Input should be a valid dictionary"),
    ],
)
def test_calls_that_chat_refuses(copilot, model, id, arguments, words):
    """OpenAI limits the length of ids, Claude limits their characters; arguments must be JSON."""
    assert words in message_of(chat(copilot, model, id, arguments))


@pytest.mark.parametrize(
    ("model", "id", "arguments"),
    [
        ("gpt-4o", "x" * 40, "42"),
        ("gpt-4o", "functions.f:0", "{}"),
        ("gemini-2.5-pro", "x" * 99, "{}"),
        ("claude-sonnet-4.5", "x" * 99, ""),
    ],
)
def test_calls_that_chat_accepts(copilot, model, id, arguments):
    """Calls that are valid for the vendor are accepted."""
    assert 200 == chat(copilot, model, id, arguments).status_code


def conversation(*messages_ids):
    """Return chat messages: for each tuple of ids, a message with calls, then the results."""
    turns: list[dict[str, Any]] = [USER]
    for ids in messages_ids:
        function = {"name": "f", "arguments": "{}"}
        calls = [{"id": id, "type": "function", "function": function} for id in ids]
        turns.append({"role": "assistant", "content": None, "tool_calls": calls})
        turns += [{"role": "tool", "tool_call_id": id, "content": "Sunny"} for id in ids]
    return turns


@pytest.mark.parametrize(
    ("model", "ids", "words"),
    [
        ("claude-sonnet-4.5", ("aa",), "messages.1.content.1: `tool_use` ids must be unique"),
        ("claude-sonnet-4.5", ("a", "a"), "messages.3.content.0: `tool_use` ids must be unique"),
        ("gpt-4o", ("aa",), "Duplicate value for 'tool_call_id' of 'a', in messages[2] and "),
        ("gpt-4o", ("a", "a"), ""),
        ("gemini-2.5-pro", ("aa",), ""),
    ],
)
def test_ids_that_are_used_twice_on_chat(copilot, model, ids, words):
    """Claude refuses duplicates in the whole conversation, and OpenAI's models within a message."""
    answer = copilot.post("/chat/completions", {"model": model, "messages": conversation(*ids)})
    if words:
        assert words in message_of(answer)
    else:
        assert 200 == answer.status_code


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"])
def test_calls_in_a_message_are_limited_on_chat(copilot, model):
    """A message has at most 128 calls, whatever the vendor."""

    def send(count):
        turns = conversation([f"call_{n}" for n in range(count)])
        return copilot.post("/chat/completions", {"model": model, "messages": turns})

    assert 200 == send(128).status_code
    assert "maximum length 128, but got an array with length 129" in message_of(send(129))


@pytest.mark.parametrize("ids", [("aa",), ("a", "a")])
def test_ids_that_are_used_twice_on_messages(copilot, ids):
    """Claude's own API also refuses duplicates."""
    turns: list[dict[str, Any]] = [USER]
    for group in ids:
        uses = [{"type": "tool_use", "id": id, "name": "f", "input": {}} for id in group]
        turns.append({"role": "assistant", "content": uses})
        turns.append({"role": "user", "content": [result(id) for id in dict.fromkeys(group)]})
    body = {"model": "claude-sonnet-4.5", "max_tokens": 500, "messages": turns}
    assert "`tool_use` ids must be unique" in message_of(copilot.post("/v1/messages", body))


def test_ids_that_responses_refuses(copilot):
    """A call id has at most 64 characters."""
    for length, status in ((64, 200), (65, 400)):
        id = "x" * length
        call = {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": id, "output": "Sunny"}
        answer = copilot.responses([USER, call, output])
        assert status == answer.status_code
    assert "Invalid 'input[1].call_id': string too long" in message_of(answer)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([{"type": "text", "text": "x"}, result()], "without `tool_result` blocks immediately"),
        ([result(), result()], "each tool_use must have a single result"),
        ([result("toolu.2")], PATTERN),
    ],
)
def test_results_that_messages_refuses(copilot, blocks, words):
    """Results come first, one for each call, with a valid id."""
    assert words in message_of(messages(copilot, blocks))


def test_ids_that_messages_refuses(copilot):
    """Ids of calls must also be valid."""
    assert PATTERN in message_of(messages(copilot, [result()], id="toolu:1"))
    assert 200 == messages(copilot, [result(), {"type": "text", "text": "x"}]).status_code


@pytest.mark.parametrize("field", ["temperature", "top_p", "top_k"])
@pytest.mark.parametrize("model", ["claude-opus-4.7", "claude-sonnet-5"])
def test_sampling_of_newer_claudes(copilot, model, field):
    """Claude 4.7 and later accept only default values."""
    refused = copilot.messages(model=model, **{field: 0.5 if field != "top_k" else 5})

    assert f"`{field}` is deprecated for this model." == message_of(refused)
    if field != "top_k":
        assert 200 == copilot.messages(model=model, **{field: 1}).status_code


def test_sonnet_5_refuses_a_budget(copilot):
    """Claude 4.7 and later refuse a thinking budget."""
    thinking = {"type": "enabled", "budget_tokens": 1024}

    refused = copilot.messages(model="claude-sonnet-5", max_tokens=4000, thinking=thinking)

    assert '"thinking.type.enabled" is not supported for this model.' == message_of(refused)
