"""A request for a model that Copilot serves on Responses: a client's own, or one of the hub."""

from collections.abc import Collection, Mapping
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.responses import sealed_reasoning
from copilot_proxy.formats.responses.outgoing import ResponsesBody
from copilot_proxy.formats.responses.request import items
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, from_chat
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import (
    HANDLING,
    Toolbox,
    call_name,
    custom_arguments,
    is_own_search,
    offered,
    search_as_function,
)
from copilot_proxy.formats.rules import Fitted, fit

ITEMS: Final[Mapping[str, str]] = {
    "custom_tool_call": "custom",
    "custom_tool_call_output": "custom",
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "computer_call": "computer",
    "computer_call_output": "computer",
    "local_shell_call": "local_shell",
    "local_shell_call_output": "local_shell",
    "shell_call": "shell",
    "shell_call_output": "shell",
    "apply_patch_call": "apply_patch",
    "apply_patch_call_output": "apply_patch",
    "mcp_list_tools": "mcp",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcp",
    "mcp_approval_response": "mcp",
    "tool_search_call": "tool_search",
    "tool_search_output": "tool_search",
    "additional_tools": "tool_search",
    "program": "programmatic_tool_calling",
    "program_output": "programmatic_tool_calling",
    # It points to something stored.
    "item_reference": "",
}
"""The kind of tool that an input item belongs to, whose fate it shares; others pass."""


def responses_for_model(
    request: Json,
    model: Model | None,
    notes: list[str],
    *,
    hosted: Collection[str] = (),
) -> Fitted:
    """The body for Copilot's Responses API, from a request that `parse_request` let through.

    `model` is None when the catalogue could not be read: then only what every model needs is done.
    `hosted` are kinds of tools, such as ``web_search``, that are passed on as they are: whether
    Copilot runs them depends on the day and the model.
    """
    body = {name: value for name, value in request.items() if value is not None}
    if model is not None:
        body["model"] = model.id
    if body.get("store"):
        notes.append("dropped store: Copilot stores nothing")
    body["store"] = False
    _include(body, notes)
    _reasoning(body)
    _tools(body, hosted, notes)
    if not isinstance(body["input"], str):
        body["input"] = _items(items(body), hosted, notes)
    return fit(ResponsesBody(body), profile_of(model, "responses"), notes)


def responses_from_chat(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    """The same for a chat completions request."""
    profile = profile_of(model, "responses")
    return fit(ResponsesBody(from_chat(chat, profile, notes), translated=True), profile, notes)


def _include(body: Json, notes: list[str]) -> None:
    """Asks for encrypted reasoning, always: it is how the next turn keeps it, as nothing is
    stored."""
    for name in body.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not have it")
    body["include"] = [ENCRYPTED]


def _reasoning(body: Json) -> None:
    reasoning = {name: v for name, v in (body.get("reasoning") or {}).items() if v is not None}
    if reasoning:
        body["reasoning"] = reasoning
    else:
        body.pop("reasoning", None)


def _tools(body: Json, hosted: Collection[str], notes: list[str]) -> None:
    toolbox = Toolbox(offered(body, hosted), hosted)
    for kind in toolbox.dropped:
        notes.append(f"dropped tool {kind}: Copilot does not run it")
    functions, choice = toolbox.choose(body.pop("tool_choice", None), notes)
    if functions:
        body["tools"] = functions
        if choice is not None:
            body["tool_choice"] = choice
    else:
        body.pop("tools", None)
        body.pop("parallel_tool_calls", None)


def _items(given: list[Json], hosted: Collection[str], notes: list[str]) -> list[Json]:
    out: list[Json] = []
    for item in given:
        kind = item.get("type") or "message"
        clean = {name: v for name, v in item.items() if v is not None and name != "id"}
        tool = ITEMS.get(kind)
        if tool is None or tool in hosted:
            out += _item(clean, hosted, notes)
        elif is_own_search(clean):
            out.append(search_as_function(clean))
        elif HANDLING.get(tool, "drop") != "drop":
            out.append(_as_function(clean))
        else:
            notes.append(f"dropped an input item: Copilot does not take {kind}")
    return out


def _item(item: Json, hosted: Collection[str], notes: list[str]) -> list[Json]:
    """An item without its id, which Copilot refuses to see again on another connection."""
    match item.get("type"):
        case "reasoning":
            return _sealed(item, notes)
        case "function_call":
            if "namespace" not in hosted:
                item["name"] = call_name(item)
                item.pop("namespace", None)
            return [{**item, "arguments": item["arguments"] or "{}"}]
    return [item]


def _as_function(item: Json) -> Json:
    """A custom tool's call or output in the words of the function that stands for the tool."""
    if item["type"] == "custom_tool_call":
        return {
            "type": "function_call",
            "call_id": item["call_id"],
            "name": call_name(item),
            "arguments": custom_arguments(item["input"]),
        }
    return {
        "type": "function_call_output",
        "call_id": item["call_id"],
        "output": item["output"],
    }


def _sealed(item: Json, notes: list[str]) -> list[Json]:
    """Reasoning that this API sealed, an item for each seal; the model can read no other."""
    encrypted = item.get("encrypted_content")
    contents = sealed_reasoning.native(encrypted) if isinstance(encrypted, str) else []
    if not contents:
        notes.append("dropped a reasoning item: it has no encrypted content of this API")
        return []
    if contents == [encrypted]:
        return [{"summary": [], **item}]
    return [{"type": "reasoning", "summary": [], "encrypted_content": c} for c in contents]
