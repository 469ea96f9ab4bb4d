"""A client's Messages request as a chat completions request, for models that speak no Messages.

What is carried over, and what is lost, stands in the tables at the top.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.efforts import effort_of
from copilot_proxy.formats.messages.messages_to_chat import system_message, translate_messages
from copilot_proxy.formats.messages.request import is_own_tool
from copilot_proxy.formats.messages.schema import Json

_SAME: Final = ("model", "max_tokens", "stream", "temperature", "top_p")
"""The fields that mean the same in both APIs."""

_READ: Final = (
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
"""The fields that have a counterpart."""

_SILENT: Final = ("cache_control",)
"""The fields whose wish is fulfilled all the same: other models cache by themselves."""

_TOOL_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "any": "required", "none": "none"}
_LONGEST_USER: Final = 64


def to_chat(request: Json, notes: list[str]) -> Json:
    """The chat completions request, with a note for each change that may matter.

    Raises `RequestError` for documents that are no text, and images that are no base64.
    """
    given = {name: value for name, value in request.items() if value is not None}
    messages = translate_messages(given["messages"], notes)
    if not messages:
        raise RequestError("The messages hold nothing to answer.", param="messages")
    chat: Json = {name: given[name] for name in _SAME if name in given}
    chat["messages"] = [*system_message(given.get("system"), notes), *messages]
    if given.get("stop_sequences"):
        chat["stop"] = given["stop_sequences"]
    _tools(given, chat, notes)
    _effort(given, chat)
    _format(given, chat)
    _user(given, chat, notes)
    for name in given:
        if name not in (*_SAME, *_READ, *_SILENT):
            notes.append(f"dropped {name}: chat completions have nothing like it")
    return chat


def _tools(given: Json, chat: Json, notes: list[str]) -> None:
    tools = []
    for tool in given.get("tools") or ():
        if is_own_tool(tool):
            tools.append(_tool(tool))
        else:
            notes.append(f"dropped the tool {tool['type']}: Copilot does not run it")
    if not tools:
        return
    chat["tools"] = tools
    choice = given.get("tool_choice") or {}
    if choice.get("disable_parallel_tool_use") is True:
        chat["parallel_tool_calls"] = False
    if choice.get("type") == "tool":
        name = choice.get("name")
        if any(tool["function"]["name"] == name for tool in tools):
            chat["tool_choice"] = {"type": "function", "function": {"name": name}}
        else:
            notes.append(f"dropped tool_choice: there is no tool {name!r} any more")
    elif choice.get("type") in _TOOL_CHOICES:
        chat["tool_choice"] = _TOOL_CHOICES[choice["type"]]


def _tool(tool: Json) -> Json:
    function: Json = {"name": tool["name"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("input_schema") is not None:
        function["parameters"] = tool["input_schema"]
    return {"type": "function", "function": function}


def _effort(given: Json, chat: Json) -> None:
    """How hard the model is to think: as said, else what the budget comes nearest to."""
    effort = (given.get("output_config") or {}).get("effort")
    thinking = given.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "disabled":
        chat["reasoning_effort"] = "none"
    elif isinstance(effort, str):
        chat["reasoning_effort"] = effort
    elif thinking.get("type") == "enabled" and isinstance(budget, int):
        chat["reasoning_effort"] = effort_of(budget)


def _format(given: Json, chat: Json) -> None:
    wanted: Any = (given.get("output_config") or {}).get("format") or given.get("output_format")
    if isinstance(wanted, dict) and isinstance(wanted.get("schema"), dict):
        schema = {"name": "answer", "schema": wanted["schema"], "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}


def _user(given: Json, chat: Json, notes: list[str]) -> None:
    user = (given.get("metadata") or {}).get("user_id")
    if not isinstance(user, str) or not user:
        return
    if len(user) <= _LONGEST_USER:
        chat["user"] = user
    else:
        notes.append(f"dropped metadata.user_id: it has more than {_LONGEST_USER} characters")
