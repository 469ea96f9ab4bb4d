"""A hub request for a model that Copilot serves on chat completions."""

from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.content_parts import move_images
from copilot_proxy.formats.chat_completions.outgoing import ChatBody
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.rules import Fitted, fit

_SEALED_ELSEWHERE: Final = ("responses:", "messages:")


def chat_for_model(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    """The body for Copilot's chat API, and a note for each change that a client may care about.

    `model` is None when the catalogue could not be read: then only what every model needs is done.
    Raises `RequestError` when nothing is left to answer.
    """
    body = normalize_request(chat, notes)
    if model is not None:
        body["model"] = model.id
    fitted = fit(ChatBody(body), profile_of(model, "chat_completions"), notes)
    if body["stream"]:
        # Asked for always: without it some models never say what an answer cost.
        body["stream_options"] = {"include_usage": True}
    return fitted


def normalize_request(chat: Json, notes: list[str]) -> Json:
    """A copy of the request in the one form that Copilot's chat API knows, as deep as rules change
    it: without nulls, with the roles and fields of today, and images where it has them."""
    body = {name: value for name, value in chat.items() if value is not None}
    body.pop("n", None)
    body.pop("stream_options", None)
    body["stream"] = body.get("stream") is True
    if tools := body.get("tools"):
        body["tools"] = [_tool(tool) for tool in tools]
    elif "tools" in body:
        body.pop("tools")
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    body["messages"] = _messages(body["messages"], notes)
    return body


def _tool(tool: Json) -> Json:
    function = {name: value for name, value in tool["function"].items() if value is not None}
    return {**tool, "type": "function", "function": function}


def _messages(messages: list[Json], notes: list[str]) -> list[Json]:
    adapted = []
    for message in messages:
        # Clients send an answer's message back with every field, most of them null.
        clean = {name: v for name, v in message.items() if v is not None or name == "content"}
        if clean["role"] == "developer":
            clean["role"] = "system"
        elif clean["role"] == "assistant":
            clean = _assistant(clean)
            if not clean.get("content") and not clean.get("tool_calls"):
                notes.append("dropped an assistant message: it is empty")
                continue
        if isinstance(clean.get("content"), list):
            clean["content"] = [_part(part) for part in clean["content"]]
        adapted.append(clean)
    return move_images(adapted, notes)


def _assistant(message: Json) -> Json:
    """An earlier answer as Copilot's models take it back."""
    refusal = message.pop("refusal", None)
    message.pop("annotations", None)
    message.pop("audio", None)
    reasoning = message.pop("reasoning_content", None)
    if str(message.get("reasoning_opaque", "")).startswith(_SEALED_ELSEWHERE):
        # Sealed by another API, and so by another vendor: neither the seal nor its text is for
        # this model.
        del message["reasoning_opaque"]
        message.pop("reasoning_text", None)
        reasoning = None
    if reasoning:
        message.setdefault("reasoning_text", reasoning)
    content = message.get("content")
    if isinstance(content, list):
        content = [p for p in content if p.get("type") != "text" or p.get("text")]
    message["content"] = content or refusal or None
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    else:
        message.pop("tool_calls", None)
    return message


def _part(part: Json) -> Json:
    if part["type"] == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if part["type"] == "image_url" and isinstance(part["image_url"], str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part


def _call(call: Json) -> Json:
    function = call["function"]
    return {
        "type": "function",
        **call,
        "function": {**function, "arguments": function.get("arguments") or "{}"},
    }
