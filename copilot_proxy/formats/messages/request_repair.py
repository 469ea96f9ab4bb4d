"""A client's Messages request for a model that speaks Messages at Copilot: nearly as it came.

What the Copilot API refuses is data here and in the modules for one part each (`history`, `tools`,
`thinking`, `cache`); all else passes. The answer goes through `MessagesRepair` or `repair_whole`.
"""

from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.messages.betas import betas
from copilot_proxy.formats.messages.cache_marks import EPHEMERAL, mark_last, reduce_marks
from copilot_proxy.formats.messages.history import settle_messages
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.stream_repair import MessagesRepair, fold, repair_whole
from copilot_proxy.formats.messages.structured_output import settle_format
from copilot_proxy.formats.messages.system import settle_system
from copilot_proxy.formats.messages.thinking import settle, thinks
from copilot_proxy.formats.messages.tools import settle_tools

__all__ = ["MessagesRepair", "betas", "fold", "prepare", "repair_whole"]

_TAKEN: Final = (
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "context_management",
)
"""The fields that Copilot takes; for any other it refuses the request."""

_COUNTED: Final = (
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "context_management",
)
"""The fields that a request for counting tokens has."""

_EDITS: Final = ("clear_tool_uses_20250919", "clear_thinking_20251015")
"""What the beta of context_management can do; compaction needs another, which Copilot refuses."""


def prepare(
    request: Json, model: Model | None, notes: list[str], *, counting: bool = False
) -> Json:
    """The body for Copilot's Messages API, with a note for each change that may matter.

    `stream` of the body may be true where the client's is not: Claude answers beyond a limit only
    in a stream, and `fold` makes one message of it. Raises `RequestError`.
    """
    body = {name: value for name, value in request.items() if value is not None}
    if model is not None:
        body["model"] = model.id
    cache_last = body.pop("cache_control", None) is not None
    _rename_format(body)
    taken = _COUNTED if counting else _TAKEN
    for name in [name for name in body if name not in taken]:
        del body[name]
        if not (counting and name in _TAKEN):
            notes.append(f"dropped {name}: Copilot does not take it")
    settle_messages(body, notes)
    if not body["messages"]:
        raise RequestError("The messages hold nothing to answer.", param="messages")
    settle_system(body, notes)
    settle_tools(body, notes)
    if cache_last:
        _mark_last(body)
    reduce_marks(body, notes)
    limit_tokens(body, model, notes)
    settle_format(body, model, notes)
    settle(body, model, notes)
    _settle_context(body, notes)
    return body


def limit_tokens(body: Json, model: Model | None, notes: list[str]) -> None:
    """Keeps `max_tokens` to the model's limit; asks for a stream where only that may be so long."""
    asked = body.get("max_tokens")
    if model is None or not isinstance(asked, int):
        return
    most = model.limit("max_output_tokens")
    if most is not None and asked > most:
        body["max_tokens"] = most
        notes.append(f"changed max_tokens: {asked} to {most}, the model's limit")
    whole = model.limit("max_non_streaming_output_tokens")
    if whole is not None and body["max_tokens"] > whole:
        body["stream"] = True


def _rename_format(body: Json) -> None:
    """Puts the schema of the answer where the API has it since it left its beta."""
    wanted = body.pop("output_format", None)
    if wanted is not None:
        body["output_config"] = {"format": wanted, **(body.get("output_config") or {})}


def _mark_last(body: Json) -> None:
    """Does what `cache_control` of the request itself asks for: marks the prompt's last block."""
    message = body["messages"][-1]
    if isinstance(message["content"], str):
        text = {"type": "text", "text": message["content"], "cache_control": dict(EPHEMERAL)}
        message["content"] = [text]
    else:
        mark_last(message)


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
