"""Translates repaired chat chunks to the events of a Gemini stream, or to a whole answer.

Every event is a `schema.GenerateContentResponse` with the next parts. A function call is a single
part with all its arguments, so it is sent when it is complete. Everything after it is held back
until then, because the order of the parts matters.

A refusal is text, because Google's Python SDK ignores the field `finishMessage`.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.gemini.errors import error_body
from copilot_proxy.formats.gemini.request import GeminiRequest
from copilot_proxy.formats.gemini.request_to_chat import (
    WRAPPED,
    generation_config,
    is_wrapped,
    output_schema,
    shows_thoughts,
)
from copilot_proxy.formats.gemini.thought_signatures import Reasoning, seal
from copilot_proxy.formats.gemini.usage import usage_from_chat
from copilot_proxy.formats.tool_arguments import Arguments
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatUsage,
    ClientEvent,
    ClientResponse,
    Json,
)

_FINISH_REASONS: Final[Mapping[str, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "content_filter": "SAFETY",
}
_MALFORMED: Final = "MALFORMED_FUNCTION_CALL"


class _Call:
    """A function call that has not been sent yet."""

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.arguments = Arguments()

    def decoded(self) -> Json | None:
        """Return the arguments, or None if they are not an object."""
        text = self.arguments.text.strip()
        try:
            value = msgspec.json.decode(text) if text else {}
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


class ChatToGemini:
    """Translates one response for a client of the Gemini API.

    `feed` accepts a chunk and returns its events, `close` returns the last event, `fail` returns
    the event that ends a broken stream, and `whole` combines all events. `close` raises
    `BrokenResponse` if the chunks do not form a response.

    Thoughts are only sent to clients that ask for them. Other clients receive only the thought
    signature, and only with a call: the model needs the signature back together with the call's
    result.
    """

    def __init__(self, request: GeminiRequest) -> None:
        self._model = request["model"]
        self._id = uuid.uuid4().hex
        self._shows_thoughts = shows_thoughts(request)
        self._is_wrapped = is_wrapped(output_schema(generation_config(request)))
        self._text: list[str] = []
        """The text received so far, if the answer must be unwrapped."""
        self._calls: dict[int, _Call] = {}
        self._held: list[_Call | Json] = []
        """The first call, and everything after it."""
        self._reasoning: list[str] = []
        self._opaque: list[str] = []
        self._has_refusal = False
        self._finish: str | None = None
        self._usage: ChatUsage | None = None

    def feed(self, chunk: ChatChunk) -> list[ClientEvent]:
        """Return the events for one chunk."""
        parts: list[Json] = []
        for choice in chunk["choices"]:
            if delta := choice["delta"]:
                self._add(delta, parts)
            self._finish = choice["finish_reason"] or self._finish
        self._usage = chunk.get("usage") or self._usage
        return [self._event(parts)] if parts else []

    def close(self) -> list[ClientEvent]:
        """Return the last event. Raises `BrokenResponse` if the answer is incomplete."""
        if self._finish is None:
            raise broken_responses.ended_early()
        reason, message = _FINISH_REASONS.get(self._finish, "OTHER"), ""
        if self._has_refusal and reason == "STOP":
            reason = "SAFETY"
        parts = self._unwrapped()
        for held in self._held:
            if not isinstance(held, _Call):
                _join(parts, held)
            elif (arguments := held.decoded()) is not None:
                called = {"id": held.id, "name": held.name, "args": arguments}
                parts.append({"functionCall": called})
            elif reason != "MAX_TOKENS":
                reason = _MALFORMED
                message = f"The arguments of {held.name} are not a JSON object."
        self._sign(parts)
        event = self._event(parts or [{"text": ""}])
        candidate = event["candidates"][0]
        candidate["finishReason"] = reason
        if message:
            candidate["finishMessage"] = message
        if (usage := usage_from_chat(self._usage)) is not None:
            event["usageMetadata"] = usage
        return [event]

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        """Return the answer assembled from all events."""
        parts: list[Json] = []
        for event in events:
            for part in event["candidates"][0]["content"]["parts"]:
                _join(parts, part)
        last = events[-1]
        candidate = {**last["candidates"][0], "content": {"parts": parts, "role": "model"}}
        return {**last, "candidates": [candidate]}

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ClientEvent]:
        """Return the event that reports an error and ends the stream."""
        return [error_body(error, request_id)]

    def _add(self, delta: Json, sent: list[Json]) -> None:
        """Add the parts of a delta to `sent` or, after a call, to the parts that are held back."""
        parts: list[Any] = self._held or sent
        if text := delta.get("reasoning_content"):
            self._reasoning.append(text)
            if self._shows_thoughts:
                parts.append({"text": text, "thought": True})
        if opaque := delta.get("reasoning_opaque"):
            self._opaque.append(opaque)
        if text := delta.get("content"):
            if self._is_wrapped:
                self._text.append(text)
            else:
                parts.append({"text": text})
        if text := delta.get("refusal"):
            self._has_refusal = True
            parts.append({"text": text})
        for call in delta.get("tool_calls") or ():
            function = call["function"]
            if (known := self._calls.get(call["index"])) is None:
                known = self._calls[call["index"]] = _Call(call["id"], function["name"])
                self._held.append(known)
            if text := function.get("arguments"):
                known.arguments.add(text)

    def _event(self, parts: list[Json]) -> ClientEvent:
        return {
            "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
            "modelVersion": self._model,
            "responseId": self._id,
        }

    def _unwrapped(self) -> list[Json]:
        """Return the answer without the object that it had to be wrapped in."""
        text = "".join(self._text)
        try:
            value = msgspec.json.decode(text)
            text = msgspec.json.encode(value[WRAPPED]).decode()
        except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError, TypeError):
            pass  # cut off or malformed, so show the client what the model wrote
        return [{"text": text}] if text else []

    def _sign(self, parts: list[Json]) -> None:
        """Add the thought signature to the first call or, if there is none, to an empty text part
        at the end."""
        if not self._opaque:
            return
        sealed = seal(Reasoning("".join(self._reasoning), "".join(self._opaque)))
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None:
            first["thoughtSignature"] = sealed
        elif self._shows_thoughts:
            parts.append({"text": "", "thoughtSignature": sealed})


def _join(parts: list[Json], part: Json) -> None:
    """Add a part to `parts`; text that continues the last part is appended to it."""
    if parts and _is_same_kind(parts[-1], part):
        parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
    else:
        parts.append(part)


def _is_same_kind(first: Json, second: Json) -> bool:
    """Return whether two parts can be joined: both are text or both are thoughts, and the first has
    no signature."""
    return (
        "text" in first
        and "text" in second
        and first.get("thought") == second.get("thought")
        and "thoughtSignature" not in first
    )
