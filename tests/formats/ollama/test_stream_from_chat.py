"""Chat chunks translated to the lines of an Ollama stream."""

import pytest

from copilot_proxy.errors import BrokenResponse, CopilotProxyError
from copilot_proxy.formats.ollama.stream_from_chat import ChatToOllama
from copilot_proxy.formats.types import ChatChunk, ClientEvent, Json


def chunk(finish: str | None = None, **delta: object) -> ChatChunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int, arguments: str, **first: str) -> Json:
    head = {"id": first["id"]} if first else {}
    name = {"name": first["name"]} if first else {}
    return {"index": index, **head, "function": {**name, "arguments": arguments}}


def lines(*chunks: ChatChunk, thinks: bool = True, generates: bool = False) -> list[ClientEvent]:
    writer = ChatToOllama("m", generates=generates, shows_thinking=thinks)
    events = [event for one in chunks for event in writer.feed(one)]
    return [*events, *writer.close()]


def messages(events: list[ClientEvent]) -> list[Json]:
    plain = [{k: v for k, v in event["message"].items() if k != "role"} for event in events]
    return [one for one in plain if one != {"content": ""}]


def test_calls_come_in_one_piece() -> None:
    """Each call has its complete arguments as an object, after the text."""
    events = lines(
        chunk(tool_calls=[call(0, '{"a":', id="one", name="f")]),
        chunk(content="Wait."),
        chunk(tool_calls=[call(1, "", id="two", name="g"), call(0, " 1}")]),
        chunk(tool_calls=[call(1, "{}")]),
        chunk("tool_calls"),
    )
    functions = [
        {"index": 0, "name": "f", "arguments": {"a": 1}},
        {"index": 1, "name": "g", "arguments": {}},
    ]
    calls = [{"id": id, "function": f} for id, f in zip(("one", "two"), functions, strict=True)]
    assert [{"content": "Wait."}, {"content": "", "tool_calls": calls}] == messages(events)
    assert (True, "stop") == (events[-1]["done"], events[-1]["done_reason"])


def test_a_call_that_was_cut_off_is_left_out() -> None:
    """A call that was cut off is left out, so that no client runs it; a complete call is kept."""
    events = lines(
        chunk(tool_calls=[call(0, "{}", id="one", name="f")]),
        chunk(tool_calls=[call(1, '{"a": "b', id="two", name="g")]),
        chunk("length"),
    )
    ((only,),) = [one["tool_calls"] for one in messages(events)]
    assert "one" == only["id"]
    assert "length" == events[-1]["done_reason"]


def test_arguments_that_are_not_an_object() -> None:
    """Arguments that are not an object are wrapped in one, as on the Messages API."""
    events = lines(chunk(tool_calls=[call(0, "[1", id="one", name="f")]), chunk("tool_calls"))
    (only,) = messages(events)
    assert {"INVALID_JSON": "[1"} == only["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize("generates", [False, True])
def test_thinking(generates: bool) -> None:
    """Thinking has its own field, which is left out for clients that do not want it."""
    chunks = (chunk(reasoning_content="Hm."), chunk(content="Yes."), chunk("stop"))
    writer = ChatToOllama("m", generates=generates, shows_thinking=True)
    whole = writer.whole([e for c in chunks for e in writer.feed(c)] + writer.close())
    holder = whole if generates else whole["message"]
    assert ("Hm.", "Yes.") == (holder["thinking"], holder["response" if generates else "content"])

    quiet = lines(*chunks, thinks=False)
    assert [{"content": "Yes."}] == messages(quiet)


def test_a_refusal() -> None:
    """A refusal's explanation is sent as text, and the finish reason is not `stop`."""
    events = lines(chunk(refusal="I must not."), chunk("content_filter"))
    assert [{"content": "I must not."}] == messages(events)
    assert "content_filter" == events[-1]["done_reason"]


def test_counts() -> None:
    """Token counts are sent with the usage, which follows the finish reason."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    last = lines(chunk(content="x"), chunk("stop"), {"choices": [], "usage": usage})[-1]
    assert (7, 3) == (last["prompt_eval_count"], last["eval_count"])
    assert last["total_duration"] >= last["eval_duration"] > 0
    assert last["created_at"].endswith("Z")


def test_an_answer_that_breaks_off() -> None:
    """A broken stream does not end like a complete one; its last line is the error."""
    writer = ChatToOllama("m", generates=False, shows_thinking=True)
    writer.feed(chunk(content="x"))
    with pytest.raises(BrokenResponse):
        writer.close()
    (line,) = writer.fail(CopilotProxyError("It broke.", hint="Try again.", code="broken"), "id")
    assert {"error": "It broke. Try again.", "code": "broken", "request_id": "id"} == line
