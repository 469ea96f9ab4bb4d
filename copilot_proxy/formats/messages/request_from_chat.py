"""Translates a Chat Completions request to a request for Copilot's Messages API.

The tables at the top list the fields that are translated; the others are dropped.
"""

from typing import Any, Final

from copilot_proxy.formats.chat_completions.request import output_limit
from copilot_proxy.formats.chat_completions.tool_choice import (
    apply_allowed_tools,
    tool_name,
    unknown_choice,
)
from copilot_proxy.formats.client_fields import CHAT_FIELDS, ClientFields
from copilot_proxy.formats.custom_tools import function_of
from copilot_proxy.formats.dropped_tool_fields import note_fields
from copilot_proxy.formats.messages.messages_from_chat import translate_messages
from copilot_proxy.formats.messages.structured_output import ANY_JSON, add_instruction
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY, wants_summary
from copilot_proxy.formats.rules.tool_kinds import CUSTOM_REPLACED, no_tool_allowed
from copilot_proxy.formats.types import ChatRequest, Json, MessagesRequest

_SAME_FIELDS: Final = ("temperature", "top_p", "top_k")
"""The fields with the same meaning in both APIs."""

_TRANSLATED_FIELDS: Final = (
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "thinking_budget",
    "user",
)
"""The fields that have an equivalent."""

_TOOL_FIELDS: Final = frozenset({"name", "description", "parameters", "strict", "format"})
"""The fields of tools that need no note. `strict` is a default of OpenAI's SDKs."""

_LOCAL_FIELDS: Final = ("stream_options", "n", REASONING_SUMMARY)
"""The fields without an equivalent that need no note, because copilot-proxy handles them itself."""


def from_chat(
    chat: ChatRequest, notes: list[str], names: ClientFields = CHAT_FIELDS
) -> MessagesRequest:
    """Return the body for the Messages API. Adds a line to `notes` for each change that may matter.

    `names` are the client's names for the fields. `formats.rules` later adapts the body to the
    model. Raises `RequestError` for an image that is not base64.
    """
    chat = {name: value for name, value in chat.items() if value is not None}
    system, messages = translate_messages(chat["messages"], notes)
    body: MessagesRequest = {
        "model": chat["model"],
        "messages": messages,
        "stream": chat.get("stream") is True,
    }
    limit = output_limit(chat, notes)
    if limit is not None:
        body["max_tokens"] = limit
    if system:
        body["system"] = system
    body.update({name: chat[name] for name in _SAME_FIELDS if name in chat})
    if chat.get("user"):
        body["metadata"] = {"user_id": chat["user"]}
    if stop := chat.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    _set_tools(chat, body, notes)
    _set_thinking(chat, body)
    _set_format(chat, body, notes)
    known = (*_SAME_FIELDS, *_TRANSLATED_FIELDS, *_LOCAL_FIELDS)
    for name in chat:
        if name not in known and chat[name] is not False and chat[name] not in ([], {}):
            notes.append(f"dropped {names.shown(name)}: Claude has no equivalent")
    return body


def _set_tools(chat: ChatRequest, body: MessagesRequest, notes: list[str]) -> None:
    tools, choice = apply_allowed_tools(chat.get("tools") or [], chat.get("tool_choice"))
    if chat.get("tools") and not tools:
        raise no_tool_allowed()
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        definitions = [tool.get("function") or tool["custom"] for tool in tools]
        note_fields(definitions, _TOOL_FIELDS, "Claude has no equivalent", notes)
        if any("custom" in tool for tool in tools):
            notes.append(CUSTOM_REPLACED)
        if choice := _tool_choice(choice):
            body["tool_choice"] = choice
        if chat.get("parallel_tool_calls") is False:
            choice = body.setdefault("tool_choice", {"type": "auto"})
            if choice["type"] != "none":
                choice["disable_parallel_tool_use"] = True


def _tool(tool: Json) -> Json:
    function = tool.get("function") or function_of(tool["custom"])
    translated: Json = {"name": function["name"]}
    if function.get("description"):
        translated["description"] = function["description"]
    if function.get("parameters") is not None:
        translated["input_schema"] = function["parameters"]
    mark = tool.get("cache_control") or function.get("cache_control")
    return {**translated, "cache_control": mark} if mark else translated


def _tool_choice(choice: Any) -> Json | None:
    match choice:
        case None:
            return None
        case "auto" | "none" | "validated":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case {"type": "function" | "custom"} if name := tool_name(choice):
            return {"type": "tool", "name": name}
    raise unknown_choice(choice)


def _set_thinking(chat: ChatRequest, body: MessagesRequest) -> None:
    """Copy the thinking settings that the client sent as an object or as a budget.

    `formats.rules` sets an effort later, because its form depends on the model.
    """
    budget = chat.get("thinking_budget")
    if isinstance(chat.get("thinking"), dict):
        body["thinking"] = chat["thinking"]
    elif type(budget) is int:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def shows_reasoning(chat: ChatRequest) -> bool:
    """Return whether the client shows the model's reasoning.

    Clients of Responses say so explicitly. Clients of Chat Completions that ask for reasoning
    receive it as `reasoning_content`.
    """
    if chat.get(REASONING_SUMMARY) is not None:
        return wants_summary(chat)
    thinking = chat.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    asks = chat.get("reasoning_effort") not in (None, "none") or bool(chat.get("thinking_budget"))
    return asks or kind in ("enabled", "adaptive")


def _set_format(chat: ChatRequest, body: MessagesRequest, notes: list[str]) -> None:
    response_format = chat.get("response_format") or {}
    if response_format.get("type") == "json_object":
        add_instruction(body, ANY_JSON)
        notes.append("changed json_object to an instruction: Claude does not support it")
    elif response_format.get("type") == "json_schema":
        form = response_format.get("json_schema") or {}
        schema = form.get("schema") or {"type": "object"}
        if isinstance(schema, dict) and form.get("description") and "description" not in schema:
            schema = {"description": form["description"], **schema}
        config = body.setdefault("output_config", {})
        config["format"] = {"type": "json_schema", "schema": schema}
