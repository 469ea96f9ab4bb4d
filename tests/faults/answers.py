"""What a client sees of an answer on any API: its text and its error."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from copilot_proxy.formats.types import ClientEvent, ErrorBody
from tests.matrix_clients import Client

_COUNTS = ('"usage":{', '"eval_count":', '"promptTokenCount":')
"""Fields that only answers with token counts contain."""


@dataclass
class Seen:
    """The response to one request, and what reached Copilot."""

    answer: httpx.Response
    text: str = ""
    """The text of the answer that arrived."""
    error: ErrorBody | None = None
    """The error object, from the body or an event; None if the answer is complete."""
    midway: bool = False
    """Whether the error is an event of a stream that had started."""
    calls: int = 0
    connects: int = 0


def read(client: Client, answer: httpx.Response, stream: bool) -> Seen:
    """Return the text and error of an answer; fail if the answer violates the API's grammar."""
    seen = Seen(answer)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/json"
        client.check_error(answer.json())
        seen.error = client.error(answer.json())
    elif stream:
        _read_stream(client, answer.text, seen)
    else:
        given = answer.json()
        seen.text = str(given["data"]) if "data" in given else client.read(given).text
    return seen


def _read_stream(client: Client, body: str, seen: Seen) -> None:
    events = list(events_of(body))
    seen.text = "".join(map(delta, events))
    last = events[-1]
    if isinstance(last.get("error"), str) or "details" in (last.get("error") or ()):
        seen.error = client.error(last)
    else:
        seen.error = last.get("error") or (last.get("response") or {}).get("error")
    if last.get("type") == "error" and seen.error is None:
        seen.error = last
    seen.midway = seen.error is not None
    if seen.error is None and any(name in body for name in _COUNTS):
        assert client.read(client.fold(body)).text == seen.text
    elif seen.error is None:
        # The usage comes last, so it was lost with the end of the stream.
        assert client.stopped in body
    elif len(events) > 1:
        client.check_broken(body)
    else:
        client.check_error(last)


def events_of(body: str) -> Iterator[ClientEvent]:
    for line in body.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
        elif line.lstrip().startswith("{"):  # for Ollama
            yield json.loads(line)


def delta(event: ClientEvent) -> str:
    if event.get("type") == "response.output_text.delta":
        return str(event["delta"])
    if event.get("type") == "content_block_delta":
        return str(event["delta"].get("text", ""))
    if "candidates" in event:
        parts = event["candidates"][0]["content"]["parts"]
        return "".join(part["text"] for part in parts if not part.get("thought"))
    if "message" in event and "done" in event:
        return str(event["message"]["content"])
    choices = event.get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or choices[0].get("text") or "")
