"""Translates the messages of a chat request into pi-ai's system prompt and messages.

Encrypted reasoning is only sent back to the API that produced it. Its labels are the same as in the
other formats, so that a conversation can switch between the upstreams.
"""

from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.earlier_answers import (
    UNUSABLE_REASONING,
    has_reasoning,
)
from copilot_proxy.formats.images import parse_data_url
from copilot_proxy.formats.messages.encrypted_reasoning import parse_thoughts
from copilot_proxy.formats.messages.messages_to_chat import FAILED
from copilot_proxy.formats.pi_ai.models import PROVIDER, PiApi
from copilot_proxy.formats.reasoning_labels import label_of
from copilot_proxy.formats.responses.encrypted_reasoning import encrypted_contents
from copilot_proxy.formats.rules.tool_results import NO_RESULT
from copilot_proxy.formats.tool_arguments import parsed_input
from copilot_proxy.formats.types import Json

_EMPTY: Final = "(The result is empty.)"
"""The text for an empty result; without it, pi-ai would claim that there is an image."""
_SIGNED_APIS: Final = ("anthropic-messages", "openai-responses")
"""The APIs that only accept reasoning that they have signed or encrypted."""
_SEPARATOR: Final = "\n\n"
_NO_TOKENS: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}


class MessagesBuilder:
    """Translates the messages of a request for `model` on `api`; `now` is in ms since 1970."""

    def __init__(self, model: str, api: PiApi, now: int, notes: list[str]) -> None:
        self._model = model
        self._api = api
        self._now = now
        self._notes = notes
        self._new_notes: set[str] = set()
        self._tool_names: dict[str, str] = {}
        """Call id -> name of the called tool."""
        self.opaque: dict[str, str] = {}
        """The id of a message's first call -> encrypted reasoning from Chat Completions."""

    def context(self, chat: list[Json], tools: list[Json]) -> Json:
        """Return pi-ai's `TranscriptContext` for chat messages and pi-ai's `tools`.

        The context is ``{"messages": [...]}``. The first message is a system message with the
        instructions and the tools, if there are any. Raises `RequestError` if no message is
        left, or for an image that pi-ai cannot send.
        """
        system: list[str] = []
        messages: list[Json] = []
        for i, message in enumerate(chat):
            path = f"messages[{i}]"
            if message.get("name"):
                self._new_notes.add("dropped name from messages: pi-ai does not support it")
            match message["role"]:
                case "system" | "developer":
                    texts = [text for text in _texts(message["content"]) if text.strip()]
                    if not messages:
                        system += texts
                    elif texts:
                        later: Json = {"role": "system", "content": _SEPARATOR.join(texts)}
                        messages.append(self._with_timestamp(later))
                case "assistant":
                    messages += self._assistant(message)
                case "tool":
                    messages.append(self._result(message, path))
                case _:
                    content = self._content(message["content"], path) or ""
                    messages.append(self._with_timestamp({"role": "user", "content": content}))
        if not messages and not system:
            raise RequestError("The messages contain nothing to answer.", param="messages")
        self._notes += sorted(self._new_notes)
        if system or tools:
            first: Json = {"role": "system", "content": _SEPARATOR.join(system)}
            if tools:
                first["toolsAdded"] = tools
            messages.insert(0, self._with_timestamp(first))
        return {"messages": messages}

    def _assistant(self, message: Json) -> list[Json]:
        text = "".join(_texts(message.get("content"))) or message.get("refusal") or ""
        content: list[Json] = [{"type": "text", "text": text}] if text else []
        for call in message.get("tool_calls") or ():
            function = call["function"]
            self._tool_names[call["id"]] = function["name"]
            content.append(
                {
                    "type": "toolCall",
                    "id": _id(call["id"]),
                    "name": function["name"],
                    "arguments": parsed_input(function.get("arguments") or ""),
                }
            )
        if not content:
            self._new_notes.add("dropped an empty assistant message")
            return []
        thinking = self._thinking(message)
        is_other = self._api in _SIGNED_APIS or label_of(message.get("reasoning_opaque") or "")
        if is_other and not thinking and has_reasoning(message):
            self._new_notes.add(UNUSABLE_REASONING)
        translated = {
            "role": "assistant",
            "content": [*thinking, *content],
            "api": self._api,
            "provider": PROVIDER,
            "model": self._model,
            "usage": {**_NO_TOKENS, "totalTokens": 0, "cost": {**_NO_TOKENS, "total": 0}},
            "stopReason": "toolUse" if message.get("tool_calls") else "stop",
        }
        return [self._with_timestamp(translated)]

    def _thinking(self, message: Json) -> list[Json]:
        """Return the reasoning as ``thinking`` blocks, if the current API can read it."""
        opaque = message.get("reasoning_opaque") or ""
        text = message.get("reasoning_content") or message.get("reasoning_text") or ""
        if self._api == "anthropic-messages":
            return [
                _thinking_block("[Reasoning redacted]" if one.redacted else one.text, one.signature)
                | ({"redacted": True} if one.redacted else {})
                for one in parse_thoughts(text, opaque)
            ]
        if self._api == "openai-responses":
            items = [
                {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
                for encrypted in encrypted_contents(opaque)
            ]
            return [_thinking_block("", msgspec.json.encode(item).decode()) for item in items]
        # On this API, pi-ai's signature is the name of the field for sending the text back.
        foreign = bool(label_of(opaque))
        if opaque and not foreign:
            if calls := message.get("tool_calls"):
                self.opaque[_id(calls[0]["id"])] = opaque
            else:
                self._new_notes.add("dropped reasoning_opaque: pi-ai does not send it back")
        return [_thinking_block(text, "reasoning_text")] if text and not foreign else []

    def _result(self, message: Json, path: str) -> Json:
        content = self._content(message["content"], path)
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if not text.strip() and not any(part["type"] == "image" for part in parts):
            parts = [{"type": "text", "text": _EMPTY}]
        result = {
            "role": "toolResult",
            "toolCallId": _id(message["tool_call_id"]),
            "toolName": self._tool_names.get(message["tool_call_id"], ""),
            "content": parts,
            "isError": text == NO_RESULT or text.startswith(FAILED),
        }
        return self._with_timestamp(result)

    def _content(self, content: Any, path: str) -> str | list[Json]:
        if isinstance(content, str):
            return content
        return [self._part(part, f"{path}.content[{i}]") for i, part in enumerate(content or ())]

    def _part(self, part: Json, path: str) -> Json:
        if part["type"] != "image_url":
            return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}
        image = part["image_url"]
        image = {"url": image} if isinstance(image, str) else image
        if image.get("detail") not in (None, "auto"):
            self._new_notes.add("dropped detail from images: pi-ai does not support it")
        media_type, data = parse_data_url(image["url"], "pi-ai", f"{path}.image_url")
        return {"type": "image", "data": data, "mimeType": media_type}

    def _with_timestamp(self, message: Json) -> Json:
        return {**message, "timestamp": self._now}


def _id(id: str) -> str:
    """Return a call's id without ``|``, because pi-ai expects a second id after that character."""
    return id.replace("|", "_")


def _texts(content: Any) -> list[str]:
    """Return the text of each part of `content`: a string, a list of parts, or None."""
    if isinstance(content, str):
        return [content]
    return [part.get("text") or part.get("refusal") or "" for part in content or ()]


def _thinking_block(text: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": text, "thinkingSignature": signature}
