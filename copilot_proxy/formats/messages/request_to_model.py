"""Prepares requests for models that Copilot serves on Messages, from Messages or chat clients."""

from dataclasses import replace
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.accepted_fields import MESSAGES_FIELDS
from copilot_proxy.formats.client_fields import ClientFields, take_fields
from copilot_proxy.formats.kinds import Kinds, plain_kinds
from copilot_proxy.formats.messages.outgoing import MessagesBody
from copilot_proxy.formats.messages.plain_messages import PLAIN, settled
from copilot_proxy.formats.messages.request import is_thinking_enabled
from copilot_proxy.formats.messages.request_from_chat import from_chat, shows_reasoning
from copilot_proxy.formats.messages.system import drop_billing_line, drop_blank_system
from copilot_proxy.formats.messages.tools import check_tools_run, drop_unsupported_tools
from copilot_proxy.formats.messages.unsupported_input import clean_messages
from copilot_proxy.formats.model_profiles import ModelProfile, profile_of
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.rules import AdaptedBody, apply_rules
from copilot_proxy.formats.types import ChatRequest, MessagesRequest

_NOT_COUNTED_FIELDS: Final = MESSAGES_FIELDS - {
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "context_management",
}
"""The fields that are not part of a request to count tokens."""

_CLEAR_TOOL_USES: Final = "clear_tool_uses_20250919"
_CLEAR_THINKING: Final = "clear_thinking_20251015"
_EDITS: Final = (_CLEAR_TOOL_USES, _CLEAR_THINKING)
"""The edits of the context_management beta; compaction needs another beta, which Copilot
rejects."""


def messages_for_model(
    request: MessagesRequest,
    model: Model | None,
    notes: list[str],
    kinds: Kinds | None = None,
    *,
    counting: bool = False,
) -> AdaptedBody:
    """Return the body for Copilot's Messages API, as close to the client's as the model allows.

    A body with a high output limit always asks for a stream, because Copilot only streams such
    responses. Adds a line to `notes` for each change that may matter. `kinds` are the types and
    fields in the client's conversation, if already known. With `counting`, `request` only asks for
    a token count. Raises `RequestError`.
    """
    body = {name: value for name, value in request.items() if value is not None}
    if model is not None:
        body["model"] = model.id
    profile = profile_of(model, "messages")
    if counting:
        profile = replace(profile, default_output=None)
        body = {name: value for name, value in body.items() if name not in _NOT_COUNTED_FIELDS}
    else:
        check_tools_run(body)
    end_mark = body.pop("cache_control", None)
    # Before thinking could be hidden, setting a budget was the way to ask for visible thinking.
    shows = (body.get("thinking") or {}).get("type") == "enabled"
    _move_output_format(body)
    moved = _adapt_messages(body, profile, notes)
    drop_billing_line(body, notes)
    drop_unsupported_tools(body, notes)
    outgoing = MessagesBody(
        body, kinds=kinds, moved=moved, end_mark=end_mark, shows_reasoning=shows
    )
    adapted = _apply_rules(outgoing, profile, notes)
    _drop_unsupported_edits(body, notes)
    return adapted


def messages_from_chat(chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
    """Return the body for Copilot's Messages API from a Chat Completions request.

    Adds a line to `notes` for each change that may matter. Raises `RequestError`.
    """
    profile = profile_of(model, "messages")
    chat = {**chat}
    fields = take_fields(chat)
    body = from_chat(chat, notes, fields)
    body["model"] = profile.id or chat["model"]
    drop_unsupported_tools(body, notes)
    plain = PLAIN.turns(body["messages"])
    if plain is not None:
        body["messages"] = settled(plain, profile) or body["messages"]
    outgoing = MessagesBody(
        body,
        fields=fields,
        kinds=plain_kinds(plain) if plain is not None else None,
        shows_reasoning=shows_reasoning(chat),
        thinking_from=_thinking_field(chat, fields),
    )
    outgoing.requested_effort = chat.get("reasoning_effort")
    return _apply_rules(outgoing, profile, notes)


def _apply_rules(outgoing: MessagesBody, profile: ModelProfile, notes: list[str]) -> AdaptedBody:
    if outgoing.is_settled and not profile.accepts_blank_texts:
        drop_blank_system(outgoing.body)
    return apply_rules(outgoing, profile, notes)


def _adapt_messages(body: MessagesRequest, profile: ModelProfile, notes: list[str]) -> int:
    """Change the messages of `body` as all models require; return the number moved to `system`."""
    turns = body["messages"]
    if isinstance(turns, PlainTurns):
        body["messages"] = adapted = settled(turns, profile)
        if adapted is not None:
            return 0
        body["messages"] = turns.decoded()
    return clean_messages(body, notes)


def _thinking_field(chat: ChatRequest, fields: ClientFields) -> str:
    """Return the client's name for the field that `from_chat` takes the thinking settings from."""
    names = {"thinking": "thinking", "thinking_budget": "thinking_budget"}
    names["reasoning_effort"] = fields.effort
    return next((shown for name, shown in names.items() if chat.get(name) is not None), "thinking")


def _move_output_format(body: MessagesRequest) -> None:
    """Move ``output_format``, as the field was called in beta, to ``output_config.format``."""
    output_format = body.pop("output_format", None)
    config = body.get("output_config")
    if output_format is not None:
        config = {"format": output_format, **(config or {})}
    if isinstance(config, dict):
        body["output_config"] = {name: v for name, v in config.items() if v is not None}
        if not body["output_config"]:
            del body["output_config"]


def _drop_unsupported_edits(body: MessagesRequest, notes: list[str]) -> None:
    """Drop context edits that Copilot does not support. If thinking is off, also drop the edit that
    clears earlier thinking."""
    context = body.get("context_management")
    if context is None:
        return
    edits = context.get("edits") if isinstance(context, dict) else None
    kept = []
    for edit in edits if isinstance(edits, list) else ():
        edit_type = edit.get("type") if isinstance(edit, dict) else None
        if edit_type not in _EDITS:
            notes.append(f"dropped the context edit {edit_type}: Copilot does not support it")
        elif edit_type == _CLEAR_THINKING and not is_thinking_enabled(body):
            notes.append(f"dropped the context edit {edit_type}: there is no thinking to clear")
        else:
            kept.append(edit)
    body["context_management"] = {"edits": kept}
    if not kept:
        del body["context_management"]
