"""Translates a client's Responses request into a chat request.

Used for models that do not support the Responses API. Fields that Chat Completions does not
support are dropped with a note, as listed in the tables at the top.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.custom_tools import nested_format
from copilot_proxy.formats.dropped_tool_fields import note_fields
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY, summary_of
from copilot_proxy.formats.responses.configuration_updates import with_updates
from copilot_proxy.formats.responses.items_to_chat import MessagesBuilder
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, SAME_FIELDS
from copilot_proxy.formats.responses.tool_changes import flatten_namespaces, lift_additional_tools
from copilot_proxy.formats.responses.tool_lists import has_tools
from copilot_proxy.formats.responses.tool_search import replace_tool_search
from copilot_proxy.formats.responses.tools import HOSTED, ToolNames, item_list, tools_of
from copilot_proxy.formats.responses.unsupported_input import (
    prepare_items,
    prepare_plain,
    prepare_tools,
)
from copilot_proxy.formats.rules.tool_kinds import FLATTENED, LIFTED, search_notes
from copilot_proxy.formats.tool_checks import check_tool_count
from copilot_proxy.formats.types import ChatRequest, Json, ResponsesRequest

_SAME: Final = ("model", *SAME_FIELDS)

_TRANSLATED: Final = frozenset(
    {
        *_SAME,
        "input",
        "instructions",
        "max_output_tokens",
        "reasoning",
        "text",
        "tools",
        "tool_choice",
        "include",
        # Both concern the responses that this server remembers.
        "store",
        "previous_response_id",
    }
)

_TOOL_TYPES: Final = ("function", "custom", "namespace", "tool_search")
"""The tool types that can be sent to any model."""
_FUNCTION: Final = ("name", "description", "parameters", "strict")
"""The fields of a function in Chat Completions."""
_TOOL_FIELDS: Final = (*_FUNCTION, "format")
_REASONING: Final = ("effort", "summary", "generate_summary")

_DEFAULTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "background": (False,),
    "truncation": ("disabled",),
    # Fields of `reasoning`.
    "context": ("auto", "all_turns"),
    "mode": ("standard",),
}
"""Values that match the default behavior, so dropping them needs no note."""

_REASONS: Final[Mapping[str, str]] = {
    "truncation": "the input is never truncated",
}


def to_chat(request: ResponsesRequest, notes: list[str]) -> ChatRequest:
    """Return the chat request for `request`, which must come from `parse_request`.

    Raises `RequestError` if no message is left, or for a part that no model accepts.
    """
    request = with_updates(request)
    fields = {name: value for name, value in request.items() if value is not None}
    for name in fields:
        if name not in _TRANSLATED and fields[name] not in _DEFAULTS.get(name, ()):
            reason = _REASONS.get(name, "the model's API does not support it")
            notes.append(f"dropped {name}: {reason}")
    for name in fields.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not support it")

    flat = _flat(fields, notes)
    chat: ChatRequest = {name: fields[name] for name in _SAME if name in fields}
    builder = MessagesBuilder(notes)
    if fields.get("instructions"):
        builder.add_message({"role": "system", "content": fields["instructions"]})
    for i, item in enumerate(input_items(flat)):
        builder.add_item(item, f"input[{i}]")
    chat["messages"] = builder.build()
    if "max_output_tokens" in fields:
        chat["max_completion_tokens"] = fields["max_output_tokens"]
    if reasoning := fields.get("reasoning"):
        chat[REASONING_SUMMARY] = summary_of(reasoning)
        for name, value in reasoning.items():
            if name not in _REASONING and value not in (None, *_DEFAULTS.get(name, ())):
                notes.append(f"dropped reasoning.{name[:50]}: the model's API does not support it")
        if reasoning.get("effort"):
            chat["reasoning_effort"] = reasoning["effort"]
    _text_config(fields.get("text") or {}, chat)
    _tools(flat, chat, notes)
    if not chat["messages"]:
        raise RequestError("`input` has no message that the model accepts.", param="input")
    return chat


def _flat(fields: ResponsesRequest, notes: list[str]) -> ResponsesRequest:
    """Return the input, tools and tool choice, with only functions and custom tools.

    Raises `RequestError` for a tool that has no equivalent in Chat Completions.
    """
    _check_tools(fields, "")
    for item in item_list(fields):
        if has_tools(item):
            _check_tools(item, f"input[{fields['input'].index(item)}].")
    names = ToolNames(fields)
    flat: ResponsesRequest = {
        name: fields[name] for name in ("input", "tools", "tool_choice") if name in fields
    }
    prepare_tools(flat, notes)
    if isinstance(flat["input"], PlainTurns):
        flat["input"] = prepare_plain(flat["input"], notes).decoded()
    elif not isinstance(flat["input"], str):
        flat["input"] = prepare_items(flat, notes)
    if lift_additional_tools(flat):
        notes.append(LIFTED)
    notes += search_notes(*replace_tool_search(flat, names))
    if flatten_namespaces(flat, names):
        notes.append(FLATTENED)
    return flat


def _check_tools(holder: Json, path: str) -> None:
    """Reject tools that have no equivalent in Chat Completions; `path` is the path of `holder`."""
    for i, tool in enumerate(tools_of(holder)):
        if tool["type"] not in (*_TOOL_TYPES, *HOSTED):
            raise RequestError(
                f"The model's API does not support the tool '{tool['type']}'.",
                param=f"{path}tools[{i}].type",
                code="unsupported_value",
                hint="Offer a function instead.",
            )


def _text_config(config: Json, chat: ChatRequest) -> None:
    form = {name: v for name, v in (config.get("format") or {}).items() if v is not None}
    if form.get("type") == "json_schema":
        # Chat Completions has the other fields in an object of their own.
        inner = {name: v for name, v in form.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif form and form.get("type") != "text":
        chat["response_format"] = form
    if config.get("verbosity"):
        chat["verbosity"] = config["verbosity"]


def _tools(flat: ResponsesRequest, chat: ChatRequest, notes: list[str]) -> None:
    tools = flat.get("tools")
    if not tools:
        chat.pop("parallel_tool_calls", None)
        return
    check_tool_count(len(tools))
    chat["tools"] = [_tool(tool) for tool in tools]
    note_fields(tools, _TOOL_FIELDS, "the model's API does not support it", notes)
    choice = flat.get("tool_choice")
    if isinstance(choice, dict):
        choice = _choice(choice)
    if choice is not None:
        chat["tool_choice"] = choice


def _tool(tool: Json) -> Json:
    if tool["type"] == "custom":
        custom = {k: v for k, v in tool.items() if k in ("name", "description")}
        if form := nested_format(tool.get("format")):
            custom["format"] = form
        return {"type": "custom", "custom": custom}
    return {"type": "function", "function": {k: v for k, v in tool.items() if k in _FUNCTION}}


def _choice(choice: Json) -> Json:
    """Return a tool choice in the format of Chat Completions. Raises `RequestError`."""
    kind = choice.get("type")
    if kind in ("function", "custom"):
        return {"type": kind, kind: {"name": choice.get("name")}}
    if kind == "allowed_tools":
        tools = [_choice(tool) for tool in tools_of(choice)]
        return {"type": kind, kind: {"mode": choice.get("mode", "auto"), "tools": tools}}
    raise RequestError(
        f"The model's API does not support the tool choice '{kind}'.",
        param="tool_choice",
        code="unsupported_value",
        hint="Choose a function, or omit `tool_choice`.",
    )
