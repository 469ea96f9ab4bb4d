"""Empty values are left out, and forced calls without tools are refused."""

import json
from typing import Any, Final

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.completions.api import COMPLETIONS
from copilot_proxy.formats.completions.request_to_chat import split_request
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from tests.formats.routes import claude, model_on, sent
from tests.selection import every_value

MODELS: Final = (
    model_on("chat_completions", "gpt-4o"),
    model_on("chat_completions", "kimi-k3", "Moonshot AI"),
    model_on("chat_completions", "gemini-2.5-pro", "Google"),
    model_on("chat_completions", "claude-haiku-4.5", "Anthropic"),
    model_on("responses", "gpt-6-sol"),
    claude("claude-opus-5"),
)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
EMPTY: Final[dict[str, list[dict[str, Any]]]] = {
    "chat_completions": [
        {"stop": []},
        {"stop": ""},
        {"stop": [""]},
        {"tools": []},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"functions": [], "function_call": "auto"},
        {"tool_choice": ""},
        {"logit_bias": {}},
        {"metadata": {}},
        {"response_format": None},
        {"stream_options": {"include_usage": True}},
        {"reasoning_effort": ""},
        {"user": "", "service_tier": "", "prompt_cache_key": "", "safety_identifier": ""},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "top_logprobs": 0},
    ],
    "responses": [
        {"tools": [], "tool_choice": "auto"},
        {"tool_choice": "", "truncation": "", "user": "", "previous_response_id": ""},
        {"reasoning": {}, "text": {}, "include": [], "metadata": {}, "instructions": ""},
        {"context_management": [], "prompt_cache_key": "", "prompt_cache_options": {}},
    ],
    "messages": [
        {"stop_sequences": []},
        {"stop_sequences": [""]},
        {"tools": [], "tool_choice": {"type": "auto"}, "system": []},
        {"metadata": {}, "output_config": {}, "context_management": {}, "system": ""},
    ],
}
CASES: Final = [(client, own) for client, cases in EMPTY.items() for own in cases]


@every_value
@every_model
@pytest.mark.parametrize(("client", "own"), CASES, ids=str)
def test_empty_fields(client: str, own: dict[str, Any], model: Model) -> None:
    """The model gets the same request as without the empty fields, and the client gets no note."""
    expected = sent(client, model)
    request = sent(client, model, own=own)

    assert expected.body == request.body
    assert expected.notes == request.notes


def test_values_that_only_equal_empty_ones() -> None:
    """Although false equals 0 in Python, values of the wrong type are still refused."""
    with pytest.raises(RequestError, match="must be a number"):
        sent("chat_completions", MODELS[0], own={"frequency_penalty": False})


@every_value
@every_model
@pytest.mark.parametrize("content", [[], None, "", ...], ids=str)
def test_empty_results_of_chats(model: Model, content: Any) -> None:
    """A tool may return nothing, in which case clients in Go omit the field."""
    result = {"role": "tool", "tool_call_id": "a", "content": content}
    if content is ...:
        del result["content"]
    check_result("chat_completions", model, "messages", result)


@every_value
@every_model
@pytest.mark.parametrize("kind", ["function", "custom_tool"])
@pytest.mark.parametrize("output", [[], None, ""], ids=str)
def test_empty_results_of_responses(model: Model, output: Any, kind: str) -> None:
    result = {"type": f"{kind}_call_output", "call_id": "a", "output": output}
    check_result("responses", model, "input", result)


def check_result(client: str, model: Model, name: str, result: Any) -> None:
    conversation = [{"role": "user", "content": "x"}, *CALLS[client], result]
    text = json.dumps(sent(client, model, own={name: conversation}).body)
    assert not any(empty in text for empty in ('"content": []', '"output": []', "null}"))


CALL: Final = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS: Final[dict[str, Any]] = {
    "chat_completions": [{"role": "assistant", "content": "", "tool_calls": [CALL]}],
    "responses": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}],
}


@every_model
@pytest.mark.parametrize("role", ["system", "user"])
def test_messages_without_parts(model: Model, role: str) -> None:
    messages = [{"role": role, "content": []}, {"role": "user", "content": "x"}]

    assert '"content": []' not in json.dumps(
        sent("chat_completions", model, own={"messages": messages}).body
    )


def test_gemini_without_stop_sequences() -> None:
    contents = [{"parts": [{"text": "x"}]}]
    body = {"model": "m", "contents": contents, "generationConfig": {"stopSequences": []}}
    request = GEMINI.parse(json.dumps(body).encode())

    assert "stop" not in prepare(GEMINI, request, MODELS[0], ReasoningCache()).body


@every_model
def test_completions_without_penalties(model: Model) -> None:
    """Clients of the older API send the default value of every field, and get no notes about it."""
    base = {"model": "m", "prompt": "Hi"}
    defaults = {"best_of": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}}
    requests = [
        prepare(COMPLETIONS, one, model, ReasoningCache())
        for body in (base, {**base, **defaults, "user": "", "stop": []})
        for one in split_request(COMPLETIONS.parse(json.dumps(body).encode()), str, [])
    ]

    assert requests[0].body == requests[1].body
    assert requests[0].notes == requests[1].notes


def test_a_seed_of_zero() -> None:
    """Zero is a valid seed, so a note says that it was dropped."""
    request = sent("chat_completions", MODELS[5], own={"seed": 0})

    assert ["dropped seed: Claude has no equivalent"] == request.notes


@every_value
@every_model
@pytest.mark.parametrize(
    ("client", "choice"),
    [
        ("chat_completions", "required"),
        ("chat_completions", {"type": "function", "function": {"name": "f"}}),
        ("responses", "required"),
        ("responses", {"type": "function", "name": "f"}),
        ("messages", {"type": "any"}),
        ("messages", {"type": "tool", "name": "f"}),
    ],
    ids=str,
)
def test_forced_calls_without_tools(client: str, choice: Any, model: Model) -> None:
    """The client relies on a call, so an error says that there can be none."""
    with pytest.raises(RequestError, match="the request has no tools") as error:
        sent(client, model, own={"tools": [], "tool_choice": choice})

    assert "tool_choice" == error.value.param


@pytest.mark.parametrize(
    ("client", "own", "model"),
    [
        ("chat_completions", {"response_format": {"type": "xml"}}, MODELS[5]),
        ("responses", {"text": {"format": {"type": "xml"}}}, MODELS[5]),
        ("messages", {"output_config": {"format": {"type": "xml"}}}, MODELS[0]),
    ],
)
def test_unknown_output_formats(client: str, own: dict[str, Any], model: Model) -> None:
    """An unknown output format would get lost in translation, so it is refused."""
    with pytest.raises(RequestError, match="json_schema"):
        sent(client, model, own=own)
