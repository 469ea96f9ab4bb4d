"""Omissions by Copilot are noted, but the list of them is hidden unless the client requested it."""

import json
from typing import Any

import pytest

from copilot_proxy.formats.types import Json
from tests.formats.routes import answer_of, claude, every_client, sent
from tests.formats.test_endings import BLOCK, START, STOP

LIST = [{"type": "thinking_dropped", "message": 1}, {"type": "thinking_dropped", "message": 3}]
NOTE = "dropped parts of earlier messages: Copilot reports 2 thinking_dropped"
FINISH: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 3},
}
LISTED: Json = {"input_transformations": LIST}
WHOLE: Json = {
    **START["message"],
    **LISTED,
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
}
STREAMS: list[Any] = [
    [{**START, "message": {**START["message"], **LISTED}}, BLOCK, FINISH, STOP],
    [START, BLOCK, {**FINISH, "delta": {**FINISH["delta"], **LISTED}}, STOP],
    [START, BLOCK, {**FINISH, **LISTED}, STOP],
    [WHOLE],
]


@every_client
@pytest.mark.parametrize("events", STREAMS)
def test_omissions_by_copilot_are_noted(client: str, events: list[Json]) -> None:
    """One note covers the whole list, and clients do not get the unexpected list itself."""
    request = sent(client, claude("claude-opus-5.5"))

    answer = answer_of(request, events, client)

    assert 1 == request.notes.count(NOTE)
    assert "input_transformations" not in json.dumps(answer.raw)
    assert "Hello" == answer.text


@pytest.mark.parametrize("events", STREAMS)
def test_a_client_that_asks_gets_the_list(events: list[Json]) -> None:
    """A Messages client that sets `block_binding` itself gets the list."""
    binding = {"prefix_mismatch_behavior": "drop_block"}
    own = {"thinking": {"type": "adaptive", "block_binding": binding}}
    request = sent("messages", claude("claude-opus-5.5"), own=own)

    out = [event for data in events for event in request.translator.feed(data)]

    assert json.dumps(LIST) in json.dumps(out)
    assert NOTE in request.notes


def test_odd_entries_are_counted() -> None:
    """Entries in any format are counted, and none of their text is repeated."""
    request = sent("messages", claude("claude-opus-5.5"))

    message = {**START["message"], "input_transformations": [1, {"type": "Tell me!"}, {}]}
    request.translator.feed({**START, "message": message})

    assert "dropped parts of earlier messages: Copilot reports 3 changes" in request.notes
