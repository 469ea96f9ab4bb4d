"""Responses that end in unusual ways reach the clients of every API with the same meaning."""

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.types import Json
from tests.formats.routes import APIS, answer_of, every_client, model_on, sent

USAGE: Json = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
TEXT: Json = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}
CALL: Json = {"id": "c", "index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}
CUT_CALL: Json = {"id": "c", "index": 0, "function": {"name": "f", "arguments": '{"a'}}
START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}
BLOCK: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": "Hello"},
}
STOP: Json = {"type": "message_stop"}
EXPLANATION = "The request was about a weapon."
REFUSAL: Json = {"type": "refusal", "category": "cbrn", "explanation": EXPLANATION}


def chat_event(*calls: Json) -> Json:
    return {"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]}


@every_client
@pytest.mark.parametrize(
    "probe",
    [
        {"id": "1", "choices": [], "usage": USAGE},
        {"id": "1", "usage": {"input_tokens": 9, "output_tokens": 1}, "stop_reason": "max_tokens"},
    ],
)
def test_an_answer_with_only_token_counts_has_no_text(client: str, probe: Json) -> None:
    """A one-token probe that Copilot answers with only token counts is successful."""
    model = model_on("chat_completions", "claude-sonnet-4.6", "Anthropic")

    answer = answer_of(sent(client, model, limit=1), [probe], client)

    assert ("", "length") == (answer.text, answer.finish)


@every_client
@pytest.mark.parametrize(
    ("event", "text", "finish"),
    [
        (TEXT, "Hello", "stop"),
        (chat_event(CALL), "", "tool_calls"),
        (chat_event(CUT_CALL), "", "length"),
    ],
)
def test_the_end_mark_completes_an_answer_of_chat_completions(
    client: str, event: Json, text: str, finish: str
) -> None:
    """`[DONE]` without a finish reason ends the response; a partial tool call stays partial."""
    model = model_on("chat_completions", "gemini-4-neon", "Google")

    answer = answer_of(sent(client, model, tool="f"), [event], client)

    assert text == answer.text
    if client != "responses" or finish != "length":
        assert finish == answer.finish
    else:
        assert "incomplete" == answer.raw["status"]


@every_client
@pytest.mark.parametrize("events", [[START, BLOCK], [START, BLOCK, STOP]])
def test_the_end_mark_completes_an_answer_of_messages(client: str, events: list[Json]) -> None:
    """A message without a stop reason is complete if the stream has an end mark."""
    model = model_on("messages", "claude-opus-5", "Anthropic")

    answer = answer_of(sent(client, model), events, client)

    assert ("Hello", "stop") == (answer.text, answer.finish)


@pytest.mark.parametrize(("route", "event"), [("chat_completions", TEXT), ("messages", START)])
@every_client
def test_without_an_end_mark_the_answer_was_cut(client: str, route: str, event: Json) -> None:
    """A response with neither a finish reason nor an end mark is an error."""
    translator = sent(client, model_on(route, "m")).translator
    translator.feed(event)

    with pytest.raises(BrokenResponse, match="was cut off"):
        translator.close()


@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"refusal": EXPLANATION}, "finish_reason": "refusal"},
        {"delta": {}, "finish_reason": "refusal", "stop_details": REFUSAL},
        {"delta": {}, "finish_reason": "refusal", "refusal": EXPLANATION},
        {"delta": {}, "finish_reason": "content_filter", "refusal": {"message": EXPLANATION}},
    ],
)
def test_a_refusal_of_chat_completions_is_explained(client: str, choice: Json) -> None:
    """A refusal has the model's explanation, in the format of each API."""
    model = model_on("chat_completions", "kimi-k3", "Moonshot AI")

    answer = answer_of(sent(client, model), [{"choices": [choice]}], client)

    assert ("content_filter", EXPLANATION) == (answer.finish, answer.refusal)


@every_client
@pytest.mark.parametrize("whole", [False, True])
def test_a_refusal_of_messages_is_explained(client: str, whole: bool) -> None:
    """The explanation of Claude's refusal reaches every client, streamed or not."""
    stopped = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": REFUSAL}
    events = [START, {"type": "message_delta", "delta": stopped, "usage": {}}, STOP]
    message = {**START["message"], **stopped}
    model = model_on("messages", "claude-opus-5", "Anthropic")

    answer = answer_of(sent(client, model), [message] if whole else events, client)

    assert ("content_filter", EXPLANATION) == (answer.finish, answer.refusal)


@every_client
def test_a_refusal_of_responses_is_explained(client: str) -> None:
    """A GPT refusal reaches every client."""
    part = {"type": "refusal", "refusal": EXPLANATION}
    message = {"type": "message", "role": "assistant", "content": [part], "status": "completed"}
    details = {"reason": "content_filter"}
    response = {"id": "r", "status": "incomplete", "incomplete_details": details}
    model = model_on("responses", "gpt-6-sol")

    answer = answer_of(sent(client, model), [{**response, "output": [message]}], client)

    assert ("content_filter", EXPLANATION) == (answer.finish, answer.refusal)


def test_a_streamed_refusal_keeps_its_details() -> None:
    """A streaming client receives Claude's explanation next to the stop reason."""
    stopped = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": REFUSAL}
    model = model_on("messages", "claude-opus-5", "Anthropic")

    events = sent("messages", model).translator.feed({**START["message"], **stopped})

    (last,) = [event for event in events if event["type"] == "message_delta"]
    assert stopped == last["delta"]


@every_client
def test_a_paused_turn_is_not_complete(client: str) -> None:
    """Messages has a stop reason for a pause; elsewhere, the response is cut off, with a note."""
    request = sent(client, model_on("messages", "claude-opus-5", "Anthropic"))
    paused = {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {}}
    events = [START, BLOCK, paused, STOP]
    if client == "messages":
        out = [event for data in events for event in request.translator.feed(data)]
        assert "'pause_turn'" in str(out)
        return

    assert ("Hello", "length") == answer_of(request, events, client)[:2]
    assert any(one.startswith("changed the finish reason from pause") for one in request.notes)
