"""Builds one request in the format of each client API, and reads bodies for Copilot's APIs."""

import json
from typing import Any, Final

from copilot_proxy.formats.types import Json

CLIENTS: Final = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
SCHEMA: Final = {"type": "object", "properties": {}}


def user(text: str = "Hi") -> Json:
    return {"said": "user", "text": text}


def assistant(text: str) -> Json:
    return {"said": "assistant", "text": text}


def called(*ids: str, arguments: Any = "{}") -> Json:
    """Return a message with tool calls; arguments are JSON text, or any value for Messages."""
    return {"said": "call", "ids": ids or ("a",), "arguments": arguments}


def result(id: str = "a") -> Json:
    return {"said": "result", "id": id}


def body_of(client: str, *steps: Json, **options: Any) -> Json:
    """Return a request from `client` with a conversation of `steps`.

    `options` may contain `tool` (a name), `schema`, `forced`, `limit`, `effort`, `budget`, `stops`,
    `system`, and fields with the same name on all APIs.
    """
    return _BODIES[client](list(steps) or [user()], options)


def _chat(steps: list[Json], options: Json) -> Json:
    body: Json = {"messages": [_chat_turn(step) for step in steps]}
    if system := options.pop("system", None):
        body["messages"].insert(0, {"role": "system", "content": system})
    if tool := options.pop("tool", None):
        function = {"name": tool, "parameters": options.pop("schema", SCHEMA)}
        body["tools"] = [{"type": "function", "function": function}]
    if options.pop("forced", False):
        body["tool_choice"] = "required"
    names = {"limit": "max_tokens", "effort": "reasoning_effort", "budget": "thinking_budget"}
    names |= {"stops": "stop"}
    return body | {names.get(name, name): value for name, value in options.items()}


def _chat_turn(step: Json) -> Json:
    if step["said"] == "call":
        function = {"name": "f", "arguments": step["arguments"]}
        calls = [{"id": id, "type": "function", "function": function} for id in step["ids"]]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    if step["said"] == "result":
        return {"role": "tool", "tool_call_id": step["id"], "content": "done"}
    return {"role": step["said"], "content": step["text"]}


def _responses(steps: list[Json], options: Json) -> Json:
    body: Json = {"input": [item for step in steps for item in _items(step)]}
    if system := options.pop("system", None):
        body["instructions"] = system
    if tool := options.pop("tool", None):
        schema = options.pop("schema", SCHEMA)
        body["tools"] = [{"type": "function", "name": tool, "parameters": schema}]
    if options.pop("forced", False):
        body["tool_choice"] = "required"
    if effort := options.pop("effort", None):
        body["reasoning"] = {"effort": effort}
    return body | {"max_output_tokens" if n == "limit" else n: v for n, v in options.items()}


def _items(step: Json) -> list[Json]:
    if step["said"] == "call":
        arguments = step["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = {"type": "function_call", "name": "f", "arguments": text}
        return [{**call, "call_id": id} for id in step["ids"]]
    if step["said"] == "result":
        return [{"type": "function_call_output", "call_id": step["id"], "output": "done"}]
    kind = "output_text" if step["said"] == "assistant" else "input_text"
    return [{"role": step["said"], "content": [{"type": kind, "text": step["text"]}]}]


def _messages(steps: list[Json], options: Json) -> Json:
    body: Json = {"messages": [_turn(step) for step in steps]}
    if tool := options.pop("tool", None):
        body["tools"] = [{"name": tool, "input_schema": options.pop("schema", SCHEMA)}]
    if options.pop("forced", False):
        body["tool_choice"] = {"type": "any"}
    if effort := options.pop("effort", None):
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {"effort": effort}
    if budget := options.pop("budget", None):
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if "parallel_tool_calls" in options:
        options.pop("parallel_tool_calls")
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    body["max_tokens"] = options.pop("limit", 4000)
    return body | {"stop_sequences" if n == "stops" else n: v for n, v in options.items()}


def _turn(step: Json) -> Json:
    if step["said"] == "call":
        arguments = step["arguments"]
        given = {} if arguments == "{}" else arguments
        use = {"type": "tool_use", "name": "f", "input": given}
        return {"role": "assistant", "content": [{**use, "id": id} for id in step["ids"]]}
    if step["said"] == "result":
        block = {"type": "tool_result", "tool_use_id": step["id"], "content": "done"}
        return {"role": "user", "content": [block]}
    return {"role": step["said"], "content": [{"type": "text", "text": step["text"]}]}


_BODIES: Final = {"chat_completions": _chat, "responses": _responses, "messages": _messages}


def turns(body: Json) -> list[Json]:
    """Return the messages or items of a conversation."""
    found: list[Json] = body.get("messages") or body.get("input") or []
    return found


def said(body: Json) -> list[tuple[str, Any]]:
    """Return the conversation of a body for Copilot, as pairs.

    A pair is ``call`` with the arguments, ``result`` with the output, or a role with the text.
    """
    found: list[tuple[str, Any]] = []
    for turn in turns(body):
        if turn.get("type") == "function_call":
            found.append(("call", turn["arguments"]))
        elif turn.get("type") == "function_call_output" or turn.get("role") == "tool":
            found.append(("result", turn.get("output")))
        elif turn.get("role") not in ("system", None):
            content = turn.get("content")
            parts = [{"text": content}] if isinstance(content, str) else content or []
            kinds = {"tool_use": "call", "tool_result": "result"}
            for part in parts:
                kind = kinds.get(str(part.get("type")), str(turn["role"]))
                found.append((kind, part.get("input", part.get("text"))))
            found += [
                ("call", call["function"]["arguments"]) for call in turn.get("tool_calls") or ()
            ]
    return found


def ids(body: Json) -> list[tuple[str, str]]:
    """Return the calls and results of a conversation on any of Copilot's APIs, with their ids."""
    found: list[tuple[str, str]] = []
    for turn in turns(body):
        content = turn.get("content")
        parts = content if isinstance(content, list) else []
        for part in (turn, *parts, *(turn.get("tool_calls") or ())):
            names: dict[Any, str] = {
                "function": "id",
                "tool_use": "id",
                "function_call": "call_id",
                "function_call_output": "call_id",
                "tool_result": "tool_use_id",
            }
            kind = part.get("type")
            if turn.get("role") == "tool" and part is turn:
                found.append(("result", part["tool_call_id"]))
            elif kind in names:
                is_call = kind in ("function", "tool_use", "function_call")
                found.append(("call" if is_call else "result", part[names[kind]]))
    return found


def limit(body: Json) -> Any:
    """Return the output limit, whatever its name."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    return next((body[name] for name in names if name in body), None)


def effort(body: Json) -> Any:
    """Return the reasoning effort."""
    holder = body.get("reasoning") or body.get("output_config") or {}
    return body.get("reasoning_effort") or holder.get("effort")


def budget(body: Json) -> Any:
    """Return the thinking budget in tokens."""
    return body.get("thinking_budget") or (body.get("thinking") or {}).get("budget_tokens")


def thinks(body: Json) -> bool:
    """Return whether thinking is enabled, by any field."""
    form = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return form or bool(body.get("reasoning_effort") or body.get("thinking_budget"))


def forced(body: Json) -> bool:
    """Return whether a tool call is forced."""
    choice = body.get("tool_choice")
    return choice == "required" or (isinstance(choice, dict) and choice["type"] in ("any", "tool"))


def stops(body: Json) -> list[str]:
    """Return the stop sequences."""
    return body.get("stop") or body.get("stop_sequences") or []


def schemas(body: Json) -> list[Any]:
    """Return the schemas of the tools."""
    tools = [tool.get("function") or tool for tool in body["tools"]]
    return [tool.get("parameters", tool.get("input_schema")) for tool in tools]


def is_object(arguments: Any) -> bool:
    """Return whether arguments are an object, or the JSON text of an object."""
    return isinstance(arguments, dict) or (is_json(arguments) and arguments[:1] == "{")


def is_json(arguments: Any) -> bool:
    """Return whether arguments are JSON text, or already decoded."""
    if not isinstance(arguments, str):
        return True
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True
