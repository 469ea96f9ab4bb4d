"""Bodies like those of coding agents: many tools, and a history of tool calls with their results.

A body of 1 MB has 40 tools and about 1,100 messages.
"""

import json
from typing import Any, Final

_TOOLS: Final = 40
_PAIR: Final = 1_800
"""Size in bytes of a tool call with its result."""
_FIELDS: Final = 8
_TEXT: Final = "Reads a part of a file in the workspace, and returns its lines with numbers. "

Json = dict[str, Any]


def agent_body(path: str, size: int, last: str) -> Json:
    """Return a body of about `size` bytes for the API at `path`, without `model` and `stream`.

    `last` is the text of its last message, which is the user's.
    """
    api = path.rpartition("/")[2]
    pairs = max(1, (size - len(json.dumps(_tools(api)))) // _PAIR)
    turns = [turn for number in range(pairs) for turn in _pair(api, number)]
    first, user = ({"role": "user", "content": text} for text in ("Begin.", last))
    if api == "responses":
        return {"input": [first, *turns, user], "instructions": _TEXT * 100, "tools": _tools(api)}
    if api == "messages":
        return {
            "messages": [first, *turns, user],
            "system": _TEXT * 100,
            "max_tokens": 4000,
            "tools": _tools(api),
        }
    system = {"role": "system", "content": _TEXT * 100}
    return {"messages": [system, first, *turns, user], "tools": _tools(api)}


def _tools(api: str) -> list[Json]:
    schema = {
        "type": "object",
        "properties": {
            f"field_{number}": {"type": "string", "description": _TEXT} for number in range(_FIELDS)
        },
        "required": ["field_0"],
    }
    tools: list[Json] = []
    for number in range(_TOOLS):
        named: Json = {"name": f"tool_{number}", "description": _TEXT * 4}
        if api == "messages":
            tools.append({**named, "input_schema": schema})
        elif api == "responses":
            tools.append({"type": "function", **named, "parameters": schema})
        else:
            tools.append({"type": "function", "function": {**named, "parameters": schema}})
    return tools


def _pair(api: str, number: int) -> tuple[Json, Json]:
    """Return a tool call and its result."""
    name, id = f"tool_{number % _TOOLS}", f"call_{number:024}"
    arguments = {"field_0": f"src/folder/module_{number}.py", "field_1": "1-40"}
    result = f"{number} def function(argument: int) -> int:  # of a file\n" * 28
    if api == "responses":
        return (
            {
                "type": "function_call",
                "call_id": id,
                "name": name,
                "arguments": json.dumps(arguments),
            },
            {"type": "function_call_output", "call_id": id, "output": result},
        )
    if api == "messages":
        use = {"type": "tool_use", "id": id, "name": name, "input": arguments}
        return (
            {"role": "assistant", "content": [use]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": id, "content": result}],
            },
        )
    function = {"name": name, "arguments": json.dumps(arguments)}
    return (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": id, "content": result},
    )
