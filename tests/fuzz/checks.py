"""Checks that a response is valid in its API."""

import json
from typing import Final

import httpx

from copilot_proxy.formats.types import ClientEvent, ClientResponse
from tests import grammars
from tests.formats.openai_schemas import check_completion
from tests.matrix_clients import Client

OUR_FAULT: Final = "copilot-proxy failed with an internal error"


def check_answer(client: Client, answer: httpx.Response, *, passed_on: bool = False) -> None:
    """Check that a response is an error, a stream or a whole answer of the client's API.

    `passed_on` means that the events of a stream are in upstream's order.
    """
    assert OUR_FAULT not in answer.text, answer.text
    if answer.status_code != 200:
        assert 400 <= answer.status_code
        check_refusal(client, answer)
    elif answer.headers["content-type"].startswith(("text/event-stream", "application/x-ndjson")):
        (check_passed_on if passed_on else check_stream)(client, answer.text)
    else:
        check_whole(client, answer.json())


def check_refusal(client: Client, answer: httpx.Response) -> None:
    """Check an error object in the API's format."""
    assert "application/json" == answer.headers["content-type"]
    client.check_error(answer.json())


def check_whole(client: Client, body: ClientResponse | list[ClientResponse]) -> None:
    """Check a whole answer."""
    if isinstance(body, list):
        check_array(client, body)
        return
    match client.api:
        case "chat_completions":
            check_completion(body)
        case "responses":
            assert "response" == body["object"]
            assert isinstance(body["output"], list)
        case "messages":
            assert ("message", "assistant") == (body["type"], body["role"])
            assert body["stop_reason"]
        case "gemini":
            assert body["candidates"][0]["finishReason"]
            assert body["candidates"][0]["content"]["parts"]
        case "ollama":
            assert body["done"] is True
            assert isinstance(body["message"]["content"], str)


def check_array(client: Client, events: list[ClientEvent]) -> None:
    """Check the events of a Gemini stream that is an array."""
    check_stream(client, "".join(f"data: {json.dumps(event)}\n\n" for event in events))


def check_stream(client: Client, text: str) -> None:
    """Check that a stream follows its grammar and ends with a finish reason or an error."""
    match client.api:
        case "chat_completions":
            chunks = grammars.chat_chunks(text)
            if "error" in chunks[-1]:
                client.check_error(chunks[-1])
            else:
                assert any(c["choices"] and c["choices"][0]["finish_reason"] for c in chunks)
        case "responses":
            last = grammars.responses_events(text)[-1]
            assert last["type"] in (*grammars.RESPONSES_ENDS, "error")
        case "messages":
            last = grammars.messages_events(text)[-1]
            assert last["type"] in ("message_stop", "error")
        case "gemini":
            last = grammars.gemini_events(text)[-1]
            assert "error" in last or last["candidates"][0]["finishReason"]
        case "ollama":
            grammars.ollama_lines(text)


def check_passed_on(client: Client, text: str) -> None:
    """Check that a passed-on stream has complete, numbered events up to its end."""
    if client.api == "chat_completions":
        check_stream(client, text)
        return
    *events, last = grammars.named_events(text)
    if client.api == "messages":
        assert last["type"] in ("message_stop", "error")
        assert not any(event["type"] == "message_stop" for event in events)
    else:
        assert [*range(len(events) + 1)] == [e["sequence_number"] for e in (*events, last)]
        assert last["type"] in (*grammars.RESPONSES_ENDS, "error")
        assert not any(event["type"] in grammars.RESPONSES_ENDS for event in events)
