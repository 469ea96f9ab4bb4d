"""Copies the tools and items of a client's request, without parts that no model supports."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.responses.history_items import replacements_for
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.tool_lists import copy_tools, has_tools
from copilot_proxy.formats.responses.tools import ADDITIONAL, HOSTED, item_list, tools_of
from copilot_proxy.formats.types import Json, ResponsesRequest

_UNSENT: Final = frozenset({"id", "parsed_arguments", "internal_chat_message_metadata_passthrough"})
"""Item fields that Copilot rejects: ids (except on the connection that they came from), a field
that the SDK adds, and a field that Codex adds for OpenAI's servers."""


def prepare_tools(body: ResponsesRequest, notes: list[str]) -> None:
    """Copy the tools of `body`, except those that OpenAI runs.

    Raises `RequestError` if none are left.
    """
    if "tools" not in body:
        return
    offered = body["tools"]
    body["tools"] = _own_tools(offered, notes)
    if drop_empty_tools(body) and offered:
        raise RequestError(
            f"Copilot does not run the tool '{offered[0]['type']}'.",
            param="tools",
            code="unsupported_value",
            hint="Replace it with a function that the client runs.",
        )


def prepare_items(body: ResponsesRequest, notes: list[str]) -> list[Json]:
    """Return copies of the input items, without nulls or ids, converted to supported types."""
    return [one for item in input_items(body) for one in _prepared(item, notes)]


def prepare_plain(turns: PlainTurns, notes: list[str]) -> PlainTurns:
    """Return a plain conversation in which the items that are decoded JSON are prepared as in
    `prepare_items`."""
    if not turns.objects:
        return turns
    prepared = [_prepared(one, notes) if isinstance(one, dict) else [one] for one in turns]
    return turns.replaced(one for some in prepared for one in some)


def _prepared(item: Json, notes: list[str]) -> list[Json]:
    out: list[Json] = []
    replacements = replacements_for(item, notes)
    for one in [item] if replacements is None else replacements:
        if None in one.values() or not _UNSENT.isdisjoint(one):
            copy = {k: v for k, v in one.items() if v is not None and k not in _UNSENT}
        else:
            copy = one.copy()
        for field in ("content", "output"):
            if isinstance(copy.get(field), list):
                copy[field] = [_part(part, copy.get("role")) for part in copy[field]]
        if has_tools(copy):
            copy["tools"] = _own_tools(copy.get("tools"), notes)
            if copy["type"] == ADDITIONAL and not copy["tools"]:
                continue
        out.append(copy)
    return out


def describe_tools(body: ResponsesRequest) -> None:
    """Remove empty tool descriptions, which Copilot rejects; the tools of `body` must be copies.

    A namespace must have a description, so its name replaces a missing or empty one.
    """
    for holder in (body, *filter(has_tools, item_list(body))):
        for tool in tools_of(holder):
            for one in (tool, *tools_of(tool)):
                if one.get("type") == "namespace":
                    one["description"] = one.get("description") or one.get("name")
                elif one.get("description") == "":
                    del one["description"]


def drop_empty_tools(body: ResponsesRequest) -> bool:
    """Remove the fields about tools from `body` if it has no tools; return whether it has none."""
    if body.get("tools") or any(map(has_tools, item_list(body))):
        return False
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)
    return True


def _own_tools(tools: object, notes: list[str]) -> list[Json]:
    """Return copies of the tools that the client runs, adding a note for each of the other
    tools."""
    copies = copy_tools(tools)
    hosted = dict.fromkeys(tool["type"] for tool in copies if tool.get("type") in HOSTED)
    notes += [f"dropped the tool {kind}: Copilot does not run it" for kind in hosted]
    return [tool for tool in copies if tool.get("type") not in HOSTED]


def _part(part: Json, role: object) -> Json:
    """Return a content part without the SDK's additions; text is given this API's type name."""
    if "parsed" in part:
        part = {name: value for name, value in part.items() if name != "parsed"}
    if part.get("type") != "text":
        return part
    return {**part, "type": "output_text" if role == "assistant" else "input_text"}
