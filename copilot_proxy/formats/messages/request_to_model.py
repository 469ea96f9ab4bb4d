"""A request for a model that Copilot serves on Messages: a client's own, or one of the hub."""

from dataclasses import replace
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.families import MESSAGES_FIELDS
from copilot_proxy.formats.messages.blocks import clean_messages
from copilot_proxy.formats.messages.outgoing import MessagesBody
from copilot_proxy.formats.messages.request import thinks
from copilot_proxy.formats.messages.request_from_chat import from_chat
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.system import settle_system
from copilot_proxy.formats.messages.tools import settle_tools
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.rules import Fitted, fit

_ONLY_ANSWERED: Final = MESSAGES_FIELDS - {
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "context_management",
}
"""The fields that a request for counting tokens does not have."""

_EDITS: Final = ("clear_tool_uses_20250919", "clear_thinking_20251015")
"""What the beta of context_management can do; compaction needs another, which Copilot refuses."""


def messages_for_model(
    request: Json, model: Model | None, notes: list[str], *, counting: bool = False
) -> Fitted:
    """The body for Copilot's Messages API, nearly as the client sent it, with a note for each
    change that may matter.

    `stream` of the body may be true where the client's is not: Claude answers beyond a limit only
    in a stream, and `fold` makes one message of it. Raises `RequestError`.
    """
    body = {name: value for name, value in request.items() if value is not None}
    if model is not None:
        body["model"] = model.id
    profile = profile_of(model, "messages")
    if counting:
        profile = replace(profile, default_output=None)
        body = {name: value for name, value in body.items() if name not in _ONLY_ANSWERED}
    marks_end = body.pop("cache_control", None) is not None
    _rename_format(body)
    moved = clean_messages(body, notes)
    settle_system(body, notes)
    settle_tools(body, notes)
    outgoing = MessagesBody(body, moved=moved, marks_end=marks_end)
    fitted = fit(outgoing, profile, notes)
    _settle_context(body, notes)
    return fitted


def messages_from_chat(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    """The same for a chat completions request."""
    profile = profile_of(model, "messages")
    body = from_chat(chat, profile, notes)
    settle_tools(body, notes)
    return fit(MessagesBody(body, translated=True), profile, notes)


def _rename_format(body: Json) -> None:
    """Puts the schema of the answer where the API has it since it left its beta."""
    wanted = body.pop("output_format", None)
    config = body.get("output_config")
    if wanted is not None:
        config = {"format": wanted, **(config or {})}
    if isinstance(config, dict):
        body["output_config"] = {name: v for name, v in config.items() if v is not None}
        if not body["output_config"]:
            del body["output_config"]


def _settle_context(body: Json, notes: list[str]) -> None:
    context = body.get("context_management")
    if context is None:
        return
    edits = context.get("edits") if isinstance(context, dict) else None
    kept = []
    for edit in edits if isinstance(edits, list) else ():
        kind = edit.get("type") if isinstance(edit, dict) else None
        if kind not in _EDITS:
            notes.append(f"dropped the context edit {kind}: Copilot does not take it")
        elif kind == _EDITS[1] and not thinks(body):
            notes.append(f"dropped the context edit {kind}: there is no thinking to clear")
        else:
            kept.append(edit)
    body["context_management"] = {"edits": kept}
    if not kept:
        del body["context_management"]
