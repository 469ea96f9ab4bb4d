"""Copies the tools and items of a client's request, without what no model at Copilot supports."""

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses.history_items import carry_over
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.tool_changes import copy_tools, has_tools
from copilot_proxy.formats.responses.tools import ADDITIONAL, HOSTED
from copilot_proxy.formats.types import Json, ResponsesRequest


def prepare_tools(body: ResponsesRequest, notes: list[str]) -> None:
    """Copy the tools of `body`, without those that OpenAI runs.

    Raises `RequestError` if the model must call a tool, but has none left.
    """
    if "tools" not in body:
        return
    offered = body["tools"]
    body["tools"] = _own_tools(offered, notes)
    choice = body.get("tool_choice")
    is_forced = choice == "required" or isinstance(choice, dict)
    if offered and drop_empty_tools(body) and is_forced:
        raise RequestError(
            "`tool_choice` forces a tool call, but Copilot runs none of the tools.",
            param="tool_choice",
            code="unsupported_value",
            hint="Offer a function, or omit `tool_choice`.",
        )


def prepare_items(body: ResponsesRequest, notes: list[str]) -> list[Json]:
    """Return copies of the input items, without nulls and ids, and in types that Copilot knows."""
    out: list[Json] = []
    for item in input_items(body):
        carried = carry_over(item, notes)
        for one in [item] if carried is None else carried:
            # Copilot refuses an item's id on any connection but the one that it was sent on.
            copy = {name: v for name, v in one.items() if v is not None and name != "id"}
            if has_tools(copy):
                copy["tools"] = _own_tools(copy.get("tools"), notes)
                if copy["type"] == ADDITIONAL and not copy["tools"]:
                    continue
            out.append(copy)
    return out


def drop_empty_tools(body: ResponsesRequest) -> bool:
    """Remove the fields about tools from `body` if it has none; return whether it has none."""
    if body.get("tools") or any(map(has_tools, input_items(body))):
        return False
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)
    return True


def _own_tools(tools: object, notes: list[str]) -> list[Json]:
    """Return copies of the tools that the client runs; add a note for each of the others."""
    copies = copy_tools(tools)
    hosted = dict.fromkeys(tool["type"] for tool in copies if tool.get("type") in HOSTED)
    notes += [f"dropped tool {kind}: Copilot does not run it" for kind in hosted]
    return [tool for tool in copies if tool.get("type") not in HOSTED]
