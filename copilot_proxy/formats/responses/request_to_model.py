"""Prepares requests for Copilot's Responses API, from Responses or chat clients."""

from typing import Any

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.client_fields import take_fields
from copilot_proxy.formats.documents import as_text, pdf_file, read_document
from copilot_proxy.formats.kinds import Kinds, plain_kinds
from copilot_proxy.formats.model_profiles import ModelProfile, profile_of
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.configuration_updates import with_updates
from copilot_proxy.formats.responses.outgoing import ResponsesBody
from copilot_proxy.formats.responses.plain_items import PLAIN, settled
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, from_chat
from copilot_proxy.formats.responses.tools import ToolNames
from copilot_proxy.formats.responses.unsupported_input import (
    describe_tools,
    drop_empty_tools,
    prepare_items,
    prepare_plain,
    prepare_tools,
)
from copilot_proxy.formats.rules import AdaptedBody, apply_rules
from copilot_proxy.formats.tool_checks import check_tool_count
from copilot_proxy.formats.types import ChatRequest, Json, ResponsesRequest


def responses_for_model(
    request: ResponsesRequest,
    model: Model | None,
    notes: list[str],
    kinds: Kinds | None = None,
) -> AdaptedBody:
    """Return the body for Copilot's Responses API, for a request from `parse_request`.

    `model` is None if the catalogue could not be read; in that case, only the changes that every
    model needs are made. `kinds` are the types and fields in the conversation, if already known.
    """
    body = {name: v for name, v in with_updates(request).items() if v is not None}
    if model is not None:
        body["model"] = model.id
    # Both concern the responses that this server remembers; Copilot stores nothing.
    body["store"] = False
    body.pop("previous_response_id", None)
    _include(body, notes)
    _reasoning(body)
    prepare_tools(body, notes)
    profile = profile_of(model, "responses")
    if not isinstance(body["input"], str):
        body["input"] = _items(body, profile, notes)
    outgoing = ResponsesBody(body, ToolNames(request), kinds=kinds)
    adapted = apply_rules(outgoing, profile, notes)
    describe_tools(body)
    drop_empty_tools(body)
    check_tool_count(len(body.get("tools") or ()))
    return adapted


def responses_from_chat(chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
    """Return the body for Copilot's Responses API, for a chat request."""
    profile = profile_of(model, "responses")
    chat = {**chat}
    fields = take_fields(chat)
    body = from_chat(chat, profile, notes, fields)
    plain = PLAIN.turns(body["input"])
    if plain is not None:
        body["input"] = settled(plain, profile) or body["input"]
    kinds = plain_kinds(plain) if plain is not None else None
    outgoing = ResponsesBody(body, ToolNames({}), fields, kinds)
    adapted = apply_rules(outgoing, profile, notes)
    describe_tools(body)
    return adapted


def _include(body: ResponsesRequest, notes: list[str]) -> None:
    """Always request encrypted reasoning: nothing is stored, and the next turn needs it back."""
    for name in body.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not support it")
    body["include"] = [ENCRYPTED]


def _reasoning(body: ResponsesRequest) -> None:
    reasoning = {name: v for name, v in (body.get("reasoning") or {}).items() if v is not None}
    if reasoning:
        body["reasoning"] = reasoning
    else:
        body.pop("reasoning", None)


def _items(body: ResponsesRequest, profile: ModelProfile, notes: list[str]) -> list[Any]:
    """Return the items in the form that all models require."""
    given = body["input"]
    adapted = settled(given, profile) if isinstance(given, PlainTurns) else None
    if adapted is None:
        return [one for item in prepare_items(body, notes) for one in _item(item, notes)]
    return prepare_plain(adapted, notes)


def _item(item: Json, notes: list[str]) -> list[Json]:
    for name in ("content", "output"):
        if isinstance(item.get(name), list):
            item[name] = [_part(part) for part in item[name]]
    match item.get("type"):
        case "reasoning":
            return _reasoning_items(item, notes)
        case "function_call":
            item["arguments"] = item["arguments"] or "{}"
    return [item]


def _part(part: Json) -> Json:
    """Return a file as Copilot accepts it: a PDF as a ``data:`` URL, anything else as text."""
    if part.get("type") != "input_file":
        return part
    document = read_document(part["file_data"], "input", whole=False)
    name = part.get("filename")
    if document.text is not None:
        return {"type": "input_text", "text": as_text(document.text, name)}
    return {**part, **pdf_file(document, name)}


def _reasoning_items(item: Json, notes: list[str]) -> list[Json]:
    """Return an item for each part of the encrypted content that this API produced.

    Models cannot read the parts from other APIs.
    """
    encrypted = item.get("encrypted_content")
    contents = (
        encrypted_reasoning.responses_contents(encrypted) if isinstance(encrypted, str) else []
    )
    if not contents:
        notes.append("dropped a reasoning item: it has no encrypted content from the Responses API")
        return []
    if contents == [encrypted]:
        return [{"summary": [], **item}]
    return [{"type": "reasoning", "summary": [], "encrypted_content": c} for c in contents]
