"""Translates a client's Responses request into a chat request.

For models that do not support the Responses API. Fields that Chat Completions does not support are
dropped, as the tables at the top say, with a note for each.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY, summary_of
from copilot_proxy.formats.responses.items_to_messages import MessagesBuilder
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED
from copilot_proxy.formats.responses.tools import ToolMapping, available_tools
from copilot_proxy.formats.types import ChatRequest, Json, ResponsesRequest

_SAME: Final = (
    "model",
    "stream",
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "prompt_cache_key",
    "service_tier",
    "safety_identifier",
    "metadata",
    "user",
)
"""Fields of the same name and meaning in both APIs."""

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
        # Its options only concern padding, which is never sent.
        "stream_options",
    }
)

_FUNCTION: Final = ("name", "description", "parameters", "strict")
"""The fields of a function in Chat Completions."""

_DEFAULTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
}
"""Values that match what happens anyway, so dropping them needs no note."""

_REASONS: Final[Mapping[str, str]] = {
    "store": "Copilot stores nothing",
    "truncation": "the input is never truncated",
    "max_tool_calls": "it counts tools that Copilot does not run",
}


def to_chat(request: ResponsesRequest, notes: list[str]) -> ChatRequest:
    """Return the chat request for `request`, which `parse_request` has accepted.

    Raises `RequestError` if no message is left, or for a part that no model accepts.
    """
    fields = {name: value for name, value in request.items() if value is not None}
    for name in fields:
        if name not in _TRANSLATED and fields[name] not in _DEFAULTS.get(name, ()):
            reason = _REASONS.get(name, "the model's API does not support it")
            notes.append(f"dropped {name}: {reason}")
    for name in fields.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not support it")

    chat: ChatRequest = {name: fields[name] for name in _SAME if name in fields}
    builder = MessagesBuilder(notes)
    if fields.get("instructions"):
        builder.add_message({"role": "system", "content": fields["instructions"]})
    for i, item in enumerate(input_items(fields)):
        builder.add_item(item, f"input[{i}]")
    chat["messages"] = builder.build()
    if "max_output_tokens" in fields:
        chat["max_completion_tokens"] = fields["max_output_tokens"]
    if reasoning := fields.get("reasoning"):
        chat[REASONING_SUMMARY] = summary_of(reasoning)
        if reasoning.get("effort"):
            chat["reasoning_effort"] = reasoning["effort"]
    _text_config(fields.get("text") or {}, chat)
    _tools(fields, chat, notes)
    if not chat["messages"]:
        raise RequestError("`input` has no message that the model accepts.", param="input")
    return chat


def _text_config(config: Json, chat: ChatRequest) -> None:
    form = {name: v for name, v in (config.get("format") or {}).items() if v is not None}
    if form.get("type") == "json_schema":
        # Chat Completions has the other fields in an object.
        inner = {name: v for name, v in form.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif form and form.get("type") != "text":
        chat["response_format"] = form
    if config.get("verbosity"):
        chat["verbosity"] = config["verbosity"]


def _tools(fields: ResponsesRequest, chat: ChatRequest, notes: list[str]) -> None:
    mapping = ToolMapping(available_tools(fields))
    for kind in mapping.dropped:
        notes.append(f"dropped tool {kind}: Copilot does not run it")
    functions, choice = mapping.apply_choice(fields.get("tool_choice"), notes)
    if not functions:
        chat.pop("parallel_tool_calls", None)
        return
    chat["tools"] = [
        {"type": "function", "function": {k: v for k, v in f.items() if k in _FUNCTION}}
        for f in functions
    ]
    if isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": choice["name"]}}
    if choice is not None:
        chat["tool_choice"] = choice
