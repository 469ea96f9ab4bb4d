"""Arguments of tool calls that come piece by piece: whether they are complete."""

import pytest

from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.tool_arguments import is_json
from tests.formats.answers import call, calling, calls_of, event, finish_of, repair

DEEP = "[" * 6000


@pytest.mark.parametrize("text", [DEEP, DEEP + "]" * 6000, "[" + DEEP, '{"a":' * 6000])
def test_what_is_nested_too_deeply_is_no_json(text: str) -> None:
    """It is not what any tool expects, and not a failure of this program."""
    assert not is_json(text)


def test_a_model_that_is_stuck_in_brackets_ran_into_its_limit() -> None:
    """The answer says so, on every API, and holds what the model wrote."""
    events = [calling(call("a", "f", DEEP)), event("length")]
    chunks = repair(events)
    messages = ChatToMessages({"model": "m"}, "m")
    responses = ChatToResponses({"model": "m", "input": "Hi"}, "m")
    for chunk in chunks:
        messages.feed(chunk)
        responses.feed(chunk)
    messages.close()
    responses.close()

    assert "length" == finish_of(events)
    assert [("a", "f", DEEP)] == calls_of(events)
    assert "max_tokens" == messages.message["stop_reason"]
    assert {"reason": "max_output_tokens"} == responses.response["incomplete_details"]
