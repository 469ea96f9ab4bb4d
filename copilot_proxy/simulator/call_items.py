"""Validation of the tool calls and outputs in the input of Responses requests."""

from __future__ import annotations

from . import responses_tools
from .refusal import invalid
from .types import Item, Model

TEXTS = {
    "function_call": ("call_id", "name", "arguments"),
    "custom_tool_call": ("call_id", "name", "input"),
}
"""Kind of call -> its fields that must be strings."""
NEEDS = {
    "custom_tool_call": "custom",
    "custom_tool_call_output": "custom",
    "tool_search_call": "tool_search",
    "tool_search_output": "tool_search",
}
"""Kind of item -> the kind of tool that the model must support."""
OUTPUTS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
}


def check(item: Item, model: Model) -> None:
    """Raise a 400 for an item that the model does not support, or that lacks a field."""
    kind = str(item.get("type"))
    if kind in NEEDS and not responses_tools.takes(model, NEEDS[kind]):
        raise invalid(f"unknown kind of input item: {kind}")
    if kind in TEXTS:
        for name in TEXTS[kind]:
            if not isinstance(item.get(name), str):
                raise invalid(f"{kind}: {name} is missing")
        if "namespace" in item and not responses_tools.takes(model, "namespace"):
            raise invalid(f"{kind}: namespace is not supported")
    elif kind in ("function_call_output", "custom_tool_call_output"):
        _output(kind, item)
    elif kind == "tool_search_call":
        if "arguments" not in item:
            raise invalid("tool_search_call: arguments is missing")
    elif kind == "tool_search_output":
        tools = item.get("tools")
        if not isinstance(tools, list) or not all(isinstance(one, dict) for one in tools):
            raise invalid("tool_search_output: tools has to be a list")
    elif kind != "additional_tools":
        raise invalid(f"unknown kind of input item: {kind}")


def _output(kind: str, item: Item) -> None:
    output = item.get("output")
    parts = [output] if isinstance(output, str) else output
    if not isinstance(item.get("call_id"), str) or not isinstance(parts, list):
        raise invalid(f"{kind}: call_id or output is missing")
    if not isinstance(output, str) and not all(isinstance(one, dict) for one in parts):
        raise invalid(f"{kind}: output has to be text or a list of parts")


def check_answers(found: list[Item]) -> None:
    """Raise a 400 if a call has no matching output, or an output has no matching call."""
    for call, output in OUTPUTS.items():
        # Searches run by the server have no call_id.
        calls = {one.get("call_id") for one in found if one.get("type") == call} - {None}
        outputs = {one.get("call_id") for one in found if one.get("type") == output} - {None}
        words = call.replace("_", " ")
        for call_id in outputs - calls:
            raise invalid(f"No tool call found for {words} output with call_id {call_id}.")
        for call_id in calls - outputs:
            raise invalid(f"No tool output found for {words} {call_id}.")
