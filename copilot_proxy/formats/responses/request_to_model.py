"""Prepares requests for Copilot's Responses API, from Responses or chat clients."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.documents import as_text, pdf_file, read_document
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.outgoing import ResponsesBody
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.request_from_chat import ENCRYPTED, from_chat
from copilot_proxy.formats.responses.tools import (
    HANDLING,
    ToolMapping,
    available_tools,
    call_name,
    custom_arguments,
    is_client_search,
    search_to_function_item,
)
from copilot_proxy.formats.rules import FittedBody, fit
from copilot_proxy.formats.types import ChatRequest, Json, ResponsesRequest

ITEM_TOOLS: Final[Mapping[str, str]] = {
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
    # It refers to a stored item, and nothing is stored.
    "item_reference": "",
}
"""The type of tool whose handling applies to an input item, by item type.

Items of other types are passed on.
"""


def responses_for_model(
    request: ResponsesRequest, model: Model | None, notes: list[str]
) -> FittedBody:
    """Return the body for Copilot's Responses API, for a request from `parse_request`.

    `model` is None if the catalogue could not be read: then only the changes that every model
    needs are made.
    """
    body = {name: value for name, value in request.items() if value is not None}
    if model is not None:
        body["model"] = model.id
    if body.get("store"):
        notes.append("dropped store: Copilot stores nothing")
    body["store"] = False
    _include(body, notes)
    _reasoning(body)
    _tools(body, notes)
    if not isinstance(body["input"], str):
        body["input"] = _items(input_items(body), notes)
    return fit(ResponsesBody(body), profile_of(model, "responses"), notes)


def responses_from_chat(chat: ChatRequest, model: Model | None, notes: list[str]) -> FittedBody:
    """Return the body for Copilot's Responses API, for a chat request."""
    profile = profile_of(model, "responses")
    return fit(ResponsesBody(from_chat(chat, profile, notes), translated=True), profile, notes)


def _include(body: ResponsesRequest, notes: list[str]) -> None:
    """Always request encrypted reasoning: nothing is stored, so the next turn needs it back."""
    for name in body.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not support it")
    body["include"] = [ENCRYPTED]


def _reasoning(body: ResponsesRequest) -> None:
    reasoning = {name: v for name, v in (body.get("reasoning") or {}).items() if v is not None}
    if reasoning:
        body["reasoning"] = reasoning
    else:
        body.pop("reasoning", None)


def _tools(body: ResponsesRequest, notes: list[str]) -> None:
    mapping = ToolMapping(available_tools(body))
    for kind in mapping.dropped:
        notes.append(f"dropped tool {kind}: Copilot does not run it")
    functions, choice = mapping.apply_choice(body.pop("tool_choice", None), notes)
    if functions:
        body["tools"] = functions
        if choice is not None:
            body["tool_choice"] = choice
    else:
        body.pop("tools", None)
        body.pop("parallel_tool_calls", None)


def _items(items: list[Json], notes: list[str]) -> list[Json]:
    out: list[Json] = []
    for item in items:
        kind = item.get("type") or "message"
        # Copilot refuses an item's id on any connection but the one that it was sent on.
        copy = {name: v for name, v in item.items() if v is not None and name != "id"}
        for name in ("content", "output"):
            if isinstance(copy.get(name), list):
                copy[name] = [_part(part) for part in copy[name]]
        tool = ITEM_TOOLS.get(kind)
        if tool is None:
            out += _item(copy, notes)
        elif is_client_search(copy):
            out.append(search_to_function_item(copy))
        elif HANDLING.get(tool, "drop") != "drop":
            out.append(_custom_to_function_item(copy))
        else:
            notes.append(f"dropped an input item: Copilot does not support {kind}")
    return out


def _item(item: Json, notes: list[str]) -> list[Json]:
    match item.get("type"):
        case "reasoning":
            return _reasoning_items(item, notes)
        case "function_call":
            item["name"] = call_name(item)
            item.pop("namespace", None)
            return [{**item, "arguments": item["arguments"] or "{}"}]
    return [item]


def _part(part: Json) -> Json:
    """Return a file as Copilot accepts it: a PDF as a ``data:`` URL, any other as its text."""
    if part.get("type") != "input_file":
        return part
    document = read_document(part["file_data"], "input", whole=False)
    name = part.get("filename")
    if document.text is not None:
        return {"type": "input_text", "text": as_text(document.text, name)}
    return {**part, **pdf_file(document, name)}


def _custom_to_function_item(item: Json) -> Json:
    """Return a custom tool's call or output as one of the function that stands for the tool."""
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


def _reasoning_items(item: Json, notes: list[str]) -> list[Json]:
    """Return an item for each encrypted content that this API made; models cannot read others."""
    encrypted = item.get("encrypted_content")
    contents = (
        encrypted_reasoning.responses_contents(encrypted) if isinstance(encrypted, str) else []
    )
    if not contents:
        notes.append("dropped a reasoning item: it has no encrypted content from the Responses API")
        return []
    if contents == [encrypted]:
        return [{"summary": [], **item}]
    return [{"type": "reasoning", "summary": [], "encrypted_content": c} for c in contents]
