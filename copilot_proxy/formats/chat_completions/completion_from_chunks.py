"""Combines the chunks of a stream into one chat completion."""

from collections.abc import Iterable
from typing import Any, Final

from copilot_proxy.formats.types import ChatChunk, ChatCompletion, Json

_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning_opaque")


def completion_from_chunks(chunks: Iterable[ChatChunk]) -> ChatCompletion:
    """Return the completion assembled from the chunks of a repaired, finished stream."""
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    texts: dict[str, list[str]] = {}
    calls: list[Json] = []
    logprobs: dict[str, list[Any]] = {}
    completion: ChatCompletion = {}
    finish_reason: str | None = None
    for chunk in chunks:
        if not completion:
            completion = {**chunk, "object": "chat.completion"}
            completion.pop("usage", None)
        if chunk.get("usage"):
            completion["usage"] = chunk["usage"]
        if "copilot_usage" in chunk:
            completion["copilot_usage"] = chunk["copilot_usage"]
        for choice in chunk["choices"]:
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for part in value:
                        _fold_call(calls, part)
                elif name in _TEXTS and value:
                    texts.setdefault(name, []).append(value)
            if choice["logprobs"]:
                for name, entries in choice["logprobs"].items():
                    if isinstance(entries, list):
                        logprobs.setdefault(name, []).extend(entries)
            finish_reason = choice["finish_reason"] or finish_reason
    message.update({name: "".join(parts) for name, parts in texts.items()})
    if calls:
        message["tool_calls"] = calls
    elif message["content"] is None and message["refusal"] is None:
        message["content"] = ""
    completion["choices"] = [
        {
            "index": 0,
            "message": message,
            "finish_reason": finish_reason,
            "logprobs": {"content": None, "refusal": None, **logprobs} if logprobs else None,
        }
    ]
    return completion


def _fold_call(calls: list[Json], part: Json) -> None:
    kind, text = ("custom", "input") if "custom" in part else ("function", "arguments")
    if part["index"] == len(calls):
        calls.append({"id": part["id"], "type": kind, kind: {"name": part[kind]["name"], text: ""}})
    calls[part["index"]][kind][text] += part[kind][text]
