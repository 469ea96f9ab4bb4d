"""Translates a client's Responses request into a hub request.

For models that do not speak the Responses API. What the hub does not have is dropped, by the
tables at the top, with a note for each.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses.items_to_messages import Messages
from copilot_proxy.formats.responses.request import items
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import Toolbox, offered

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
        # Its options are about padding; there is none.
        "stream_options",
    }
)

_FUNCTION: Final = ("name", "description", "parameters", "strict")
"""What the hub knows of a function."""

_SILENT: Final[Mapping[str, tuple[Any, ...]]] = {
    "store": (False,),
    "background": (False,),
    "truncation": ("disabled",),
}
"""Values that ask for what happens anyway."""

_REASONS: Final[Mapping[str, str]] = {
    "store": "Copilot stores nothing",
    "truncation": "nothing is cut from the input",
    "max_tool_calls": "it counts tools that Copilot does not run",
}


def to_chat(request: Json, notes: list[str]) -> Json:
    """The hub request for a Responses request, one that `parse_request` let through."""
    given = {name: value for name, value in request.items() if value is not None}
    for name in given:
        if name not in _TRANSLATED and given[name] not in _SILENT.get(name, ()):
            reason = _REASONS.get(name, "the model's API does not have it")
            notes.append(f"dropped {name}: {reason}")
    for name in given.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not have it")

    chat: Json = {name: given[name] for name in _SAME if name in given}
    messages = Messages(notes)
    if given.get("instructions"):
        messages.add({"role": "system", "content": given["instructions"]})
    for i, item in enumerate(items(given)):
        messages.take(item, f"input[{i}]")
    chat["messages"] = messages.all()
    if "max_output_tokens" in given:
        chat["max_completion_tokens"] = given["max_output_tokens"]
    if effort := (given.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    _text_config(given.get("text") or {}, chat)
    _tools(given, chat, notes)
    if not chat["messages"]:
        raise RequestError("Nothing in `input` is a message that the model takes.", param="input")
    return chat


def _text_config(config: Json, chat: Json) -> None:
    form = {name: v for name, v in (config.get("format") or {}).items() if v is not None}
    if form.get("type") == "json_schema":
        # The chat API has the rest in a box of its own.
        inner = {name: v for name, v in form.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif form and form.get("type") != "text":
        chat["response_format"] = form
    if config.get("verbosity"):
        chat["verbosity"] = config["verbosity"]


def _tools(given: Json, chat: Json, notes: list[str]) -> None:
    toolbox = Toolbox(offered(given))
    for kind in toolbox.dropped:
        notes.append(f"dropped tool {kind}: Copilot does not run it")
    functions, choice = toolbox.choose(given.get("tool_choice"), notes)
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
