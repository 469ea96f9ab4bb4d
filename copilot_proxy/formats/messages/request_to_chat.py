"""Translates a Messages request to Chat Completions, for models not served on the Messages API.

The tables at the top list the fields that are translated; the others are dropped.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.dropped_tool_fields import note_fields
from copilot_proxy.formats.efforts import effort_of
from copilot_proxy.formats.messages.deferred_tools import offered_tools
from copilot_proxy.formats.messages.messages_to_chat import system_message, translate_messages
from copilot_proxy.formats.messages.request import check_values, is_client_tool
from copilot_proxy.formats.messages.tools import check_choice, check_tools_run, drop_reason
from copilot_proxy.formats.rules.schemas import close_schema
from copilot_proxy.formats.strict_output import can_be_strict
from copilot_proxy.formats.tool_checks import check_tool_count
from copilot_proxy.formats.types import ChatRequest, Json, MessagesRequest

_SAME_FIELDS: Final = ("model", "max_tokens", "stream", "temperature", "top_p")
"""The fields with the same meaning in both APIs."""

_TRANSLATED_FIELDS: Final = (
    "messages",
    "system",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
)
"""The fields that have an equivalent."""

_UNNEEDED_FIELDS: Final = ("cache_control",)
"""The fields that are dropped without a note, because other models cache prompts automatically."""

_TOOL_CHOICES: Final[Mapping[str, str]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "validated": "validated",
}
_TOOL_FIELDS: Final = frozenset({"name", "description", "input_schema", "strict"})
_MAX_USER_LENGTH: Final = 64


def to_chat(request: MessagesRequest, notes: list[str]) -> ChatRequest:
    """Return the chat request. Adds a line to `notes` for each change that may matter.

    Raises `RequestError` for an image or document without data.
    """
    request = {name: value for name, value in request.items() if value is not None}
    check_values(request)
    check_tools_run(request)
    tools = offered_tools(request, notes)
    offered = {tool["name"] for tool in tools}
    messages = translate_messages(request["messages"], notes, offered)
    if not messages:
        raise RequestError("The messages contain nothing to answer.", param="messages")
    chat: ChatRequest = {name: request[name] for name in _SAME_FIELDS if name in request}
    chat["messages"] = [*system_message(request.get("system"), "system", notes), *messages]
    if request.get("stop_sequences"):
        chat["stop"] = request["stop_sequences"]
    _set_tools(request, tools, chat, notes)
    _set_effort(request, chat)
    _set_format(request, chat, notes)
    _set_user(request, chat, notes)
    for name in request:
        if name not in (*_SAME_FIELDS, *_TRANSLATED_FIELDS, *_UNNEEDED_FIELDS):
            notes.append(f"dropped {name}: Chat Completions has no equivalent")
    return chat


def _set_tools(
    request: MessagesRequest, offered: list[Json], chat: ChatRequest, notes: list[str]
) -> None:
    for tool in request.get("tools") or ():
        if not is_client_tool(tool):
            notes.append(f"dropped the tool {tool['type']}: {drop_reason(tool)}")
    check_choice(request, offered)
    if not offered:
        return
    check_tool_count(len(offered))
    chat["tools"] = [_tool(tool) for tool in offered]
    note_fields(offered, _TOOL_FIELDS, "Chat Completions has no equivalent", notes)
    choice = request.get("tool_choice") or {}
    if choice.get("disable_parallel_tool_use") is True:
        chat["parallel_tool_calls"] = False
    if choice.get("type") == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice.get("type") in _TOOL_CHOICES:
        chat["tool_choice"] = _TOOL_CHOICES[choice["type"]]


def _tool(tool: Json) -> Json:
    function: Json = {"name": tool["name"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("input_schema") is not None:
        function["parameters"] = tool["input_schema"]
    if tool.get("strict") is True and can_be_strict(tool.get("input_schema")):
        function["parameters"] = close_schema(tool["input_schema"])
        function["strict"] = True
    return {"type": "function", "function": function}


def _set_effort(request: MessagesRequest, chat: ChatRequest) -> None:
    """Set the reasoning effort: the client's own, or the effort closest to its thinking budget.

    The last system message that sets an effort sets it for the rest of the conversation.
    """
    later = [message.get("output_config") for message in request["messages"]]
    configs = [config for config in (request.get("output_config"), *later) if config]
    effort = next((c["effort"] for c in reversed(configs) if c.get("effort")), None)
    thinking = request.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "disabled":
        chat["reasoning_effort"] = "none"
    elif isinstance(effort, str):
        chat["reasoning_effort"] = effort
    elif thinking.get("type") == "enabled" and isinstance(budget, int):
        chat["reasoning_effort"] = effort_of(budget)


def _set_format(request: MessagesRequest, chat: ChatRequest, notes: list[str]) -> None:
    config = request.get("output_config") or {}
    for name in config.keys() - {"effort", "format"}:
        notes.append(f"dropped output_config.{name[:50]}: Chat Completions has no equivalent")
    output_format: Any = config.get("format") or request.get("output_format")
    if isinstance(output_format, dict) and isinstance(output_format.get("schema"), dict):
        # Anthropic can enforce any schema, OpenAI only schemas without optional properties.
        schema = output_format["schema"]
        strict = can_be_strict(schema)
        schema = close_schema(schema) if strict else schema
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": strict},
        }


def _set_user(request: MessagesRequest, chat: ChatRequest, notes: list[str]) -> None:
    user = (request.get("metadata") or {}).get("user_id")
    if not isinstance(user, str) or not user:
        return
    if len(user) <= _MAX_USER_LENGTH:
        chat["user"] = user
    else:
        notes.append(f"dropped metadata.user_id: it is longer than {_MAX_USER_LENGTH} characters")
