"""The messages of a chat completions request as pi-ai's system prompt and messages.

The reasoning that an API of Copilot's has sealed goes back to that API alone, by the tags that the
other formats give it, so that a conversation can change between the upstreams.
"""

from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import parse_data_url
from copilot_proxy.formats.messages.encrypted_reasoning import parse_thoughts
from copilot_proxy.formats.messages.messages_to_chat import FAILED
from copilot_proxy.formats.pi_ai.models import PROVIDER, Json, PiApi
from copilot_proxy.formats.responses.sealed_reasoning import unseal
from copilot_proxy.formats.rules.results import NO_RESULT
from copilot_proxy.formats.tool_arguments import parsed_input

_EMPTY: Final = "(The result is empty.)"
"""Said in place of nothing: pi-ai would speak of an image there."""
_TAGGED: Final = ("messages:", "responses:", "chat:")
_GAP: Final = "\n\n"
_NOTHING: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}


class Translation:
    """The messages of one request, on their way to `model` on `api`; `now` in ms since 1970."""

    def __init__(self, model: str, api: PiApi, now: int, notes: list[str]) -> None:
        self._model = model
        self._api = api
        self._now = now
        self._notes = notes
        self._told: set[str] = set()
        self._tools: dict[str, str] = {}

    def context(self, chat: list[Json]) -> Json:
        """``systemPrompt`` and ``messages`` of pi-ai's `Context`; raises `RequestError`."""
        system: list[str] = []
        messages: list[Json] = []
        for i, message in enumerate(chat):
            path = f"messages[{i}]"
            if message.get("name"):
                self._told.add("dropped name of messages: pi-ai has nothing like it")
            match message["role"]:
                case "system" | "developer":
                    if messages:
                        self._told.add(
                            "moved a later system message to the front: pi-ai has it there"
                        )
                    system += [text for text in _texts(message["content"]) if text.strip()]
                case "assistant":
                    messages += self._assistant(message)
                case "tool":
                    messages.append(self._result(message, path))
                case _:
                    content = self._content(message["content"], path) or ""
                    messages.append(self._stamped({"role": "user", "content": content}))
        if not messages and not system:
            raise RequestError("The messages hold nothing to answer.", param="messages")
        self._notes += sorted(self._told)
        context: Json = {"messages": messages}
        if system:
            context["systemPrompt"] = _GAP.join(system)
        return context

    def _assistant(self, message: Json) -> list[Json]:
        said = "".join(_texts(message.get("content"))) or message.get("refusal") or ""
        content: list[Json] = [{"type": "text", "text": said}] if said else []
        for call in message.get("tool_calls") or ():
            function = call["function"]
            self._tools[call["id"]] = function["name"]
            content.append(
                {
                    "type": "toolCall",
                    "id": _id(call["id"]),
                    "name": function["name"],
                    "arguments": parsed_input(function.get("arguments") or ""),
                }
            )
        if not content:
            self._told.add("dropped an assistant message: it is empty")
            return []
        made = {
            "role": "assistant",
            "content": [*self._thinking(message), *content],
            "api": self._api,
            "provider": PROVIDER,
            "model": self._model,
            "usage": {**_NOTHING, "totalTokens": 0, "cost": {**_NOTHING, "total": 0}},
            "stopReason": "toolUse" if message.get("tool_calls") else "stop",
        }
        return [self._stamped(made)]

    def _thinking(self, message: Json) -> list[Json]:
        """The reasoning that is good for the API that is asked now."""
        opaque = message.get("reasoning_opaque") or ""
        text = message.get("reasoning_content") or message.get("reasoning_text") or ""
        if self._api == "anthropic-messages":
            return [
                _thought("[Reasoning redacted]" if one.redacted else one.text, one.signature)
                | ({"redacted": True} if one.redacted else {})
                for one in parse_thoughts(text, opaque)
                if one.text or one.redacted
            ]
        if self._api == "openai-responses":
            items = [
                {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
                for encrypted in unseal(opaque)
            ]
            return [_thought("", msgspec.json.encode(item).decode()) for item in items]
        if opaque and not opaque.startswith(_TAGGED):
            self._told.add("dropped reasoning_opaque: pi-ai does not send it back")
        # The signature is the name of the field in which pi-ai sends the text back.
        foreign = opaque.startswith(_TAGGED)
        return [_thought(text, "reasoning_text")] if text and not foreign else []

    def _result(self, message: Json, path: str) -> Json:
        content = self._content(message["content"], path)
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if not said.strip() and not any(part["type"] == "image" for part in parts):
            parts = [{"type": "text", "text": _EMPTY}]
        result = {
            "role": "toolResult",
            "toolCallId": _id(message["tool_call_id"]),
            "toolName": self._tools.get(message["tool_call_id"], ""),
            "content": parts,
            "isError": said == NO_RESULT or said.startswith(FAILED),
        }
        return self._stamped(result)

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
            self._told.add("dropped detail of images: pi-ai has nothing like it")
        media_type, data = parse_data_url(image["url"], "pi-ai", f"{path}.image_url")
        return {"type": "image", "data": data, "mimeType": media_type}

    def _stamped(self, message: Json) -> Json:
        return {**message, "timestamp": self._now}


def _id(id: str) -> str:
    """The id of a call without what pi-ai reads as a second id."""
    return id.replace("|", "_")


def _texts(content: Any) -> list[str]:
    """The texts of a content, whichever of its forms it has."""
    if isinstance(content, str):
        return [content]
    return [part.get("text") or part.get("refusal") or "" for part in content or ()]


def _thought(text: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": text, "thinkingSignature": signature}
