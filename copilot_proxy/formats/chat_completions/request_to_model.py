"""Prepares a Chat Completions request for a model that Copilot serves on the same API."""

from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.content_parts import move_images
from copilot_proxy.formats.chat_completions.earlier_answers import UNUSABLE_REASONING
from copilot_proxy.formats.chat_completions.outgoing import ChatBody
from copilot_proxy.formats.chat_completions.plain_messages import PLAIN, settled
from copilot_proxy.formats.client_fields import take_fields
from copilot_proxy.formats.kinds import plain_kinds
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.plain_turns import PlainTurns, expanded
from copilot_proxy.formats.reasoning_labels import CALL_LABEL, OTHER_APIS
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY
from copilot_proxy.formats.rules import AdaptedBody, apply_rules
from copilot_proxy.formats.types import ChatRequest, Json

_PDF_NOTE: Final = (
    "changed files to images, without their names: Copilot's chat API does not accept files"
)


_PLAIN_FIELDS: Final = {"role", "content", "tool_calls"}
"""The fields of most assistant messages in an agent's conversation."""


def chat_for_model(chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
    """Return the body for Copilot's chat API, adding a note for each change that may matter.

    `model` is None if the catalogue could not be read; in that case, only the changes that every
    model needs are made. Raises `RequestError` if the conversation ends up empty.
    """
    chat = {**chat}
    fields = take_fields(chat)
    profile = profile_of(model, "chat_completions")
    turns = chat["messages"]
    plain = turns if isinstance(turns, PlainTurns) else PLAIN.turns(turns)
    if plain is not None:
        chat["messages"] = settled(plain, profile) or expanded(chat)["messages"]
    body = _normalized(chat, notes)
    if model is not None:
        body["model"] = model.id
    kinds = plain_kinds(plain) if plain is not None else None
    adapted = apply_rules(ChatBody(body, fields, kinds), profile, notes)
    if body["stream"]:
        # Always requested, because otherwise some models never report the cost of the response.
        body["stream_options"] = {"include_usage": True}
    return adapted


def _normalized(chat: ChatRequest, notes: list[str]) -> ChatRequest:
    """Return a copy of the request in the form that Copilot's chat API accepts.

    Nulls are removed, old roles and fields are replaced, and the images of tool results are moved.
    Any parts that the rules may change are copied.
    """
    body = {name: value for name, value in chat.items() if value is not None}
    body.pop("n", None)
    body.pop("stream_options", None)
    body.pop(REASONING_SUMMARY, None)
    body["stream"] = body.get("stream") is True
    if tools := body.get("tools"):
        body["tools"] = [_tool(tool) for tool in tools]
    else:
        # Without tools, the fields about them are meaningless, and OpenAI's models refuse them.
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    if not isinstance(body["messages"], PlainTurns):
        body["messages"] = _messages(body["messages"], notes)
    return body


def _tool(tool: Json) -> Json:
    kind = "custom" if tool.get("type") == "custom" else "function"
    definition = {name: value for name, value in tool[kind].items() if value is not None}
    return {**tool, "type": kind, kind: definition}


def _messages(messages: list[Json], notes: list[str]) -> list[Json]:
    normalized = []
    for message in messages:
        copy = message.copy()
        role = copy["role"]
        if role == "assistant":
            _normalize_assistant(copy, notes)
            if not copy["content"] and "tool_calls" not in copy:
                notes.append("dropped an empty assistant message")
                continue
        else:
            if None in copy.values():
                _drop_nulls(copy)
            if role == "developer":
                copy["role"] = "system"
        content = copy.get("content")
        if isinstance(content, list):
            copy["content"] = [_part(part, notes) for part in content]
        normalized.append(copy)
    return move_images(normalized, notes)


def _drop_nulls(message: Json) -> None:
    # Clients send back messages from responses with all their fields, most of which are null.
    for name in [name for name, value in message.items() if value is None]:
        if name != "content":
            del message[name]


def _normalize_assistant(message: Json, notes: list[str]) -> None:
    """Convert an assistant message to the form that Copilot's models accept."""
    content = message.get("content")
    if message.keys() <= _PLAIN_FIELDS and not isinstance(content, list):
        message["content"] = content or None
        _copy_calls(message)
        return
    refusal = message.pop("refusal", None)
    message.pop("parsed", None)  # added by the SDK
    reasoning = message.pop("reasoning_content", None)
    if isinstance(content, list):
        content = [part for part in content if part.get("type") != "text" or part.get("text")]
    message["content"] = content or refusal or None
    _copy_calls(message)
    _drop_nulls(message)
    opaque = str(message.get("reasoning_opaque", ""))
    if opaque.startswith(CALL_LABEL):
        del message["reasoning_opaque"]
        for call in message.get("tool_calls", ())[:1]:
            called = call["custom" if call["type"] == "custom" else "function"]
            called["thought_signature"] = opaque.removeprefix(CALL_LABEL)
    elif opaque.startswith(OTHER_APIS):
        # The reasoning is from another vendor, so this model cannot use it, even as text.
        del message["reasoning_opaque"]
        message.pop("reasoning_text", None)
        reasoning = None
        if UNUSABLE_REASONING not in notes:
            notes.append(UNUSABLE_REASONING)
    if reasoning:
        message.setdefault("reasoning_text", reasoning)


def _copy_calls(message: Json) -> None:
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    else:
        message.pop("tool_calls", None)


def _part(part: Json, notes: list[str]) -> Json:
    if part["type"] == "file":
        # Copilot's chat API does not support files; its models accept PDFs as images.
        if _PDF_NOTE not in notes:
            notes.append(_PDF_NOTE)
        extra = {name: value for name, value in part.items() if name not in ("type", "file")}
        url = part["file"]["file_data"]
        return {**extra, "type": "image_url", "image_url": {"url": url}}
    if part["type"] == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if part["type"] == "image_url" and isinstance(part["image_url"], str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part


def _call(call: Json) -> Json:
    copy = call.copy()
    if copy.setdefault("type", "function") == "custom":
        copy["custom"] = call["custom"].copy()
        return copy
    copy["function"] = function = call["function"].copy()
    if "parsed_arguments" in function:  # added by the SDK
        del function["parsed_arguments"]
    if not function.get("arguments"):
        function["arguments"] = "{}"
    return copy
