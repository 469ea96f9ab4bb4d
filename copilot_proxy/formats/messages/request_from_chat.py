"""A chat completions request as one for Claude's Messages API at Copilot.

What is carried over, and what is lost, stands in the tables at the top.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.efforts import BUDGETS
from copilot_proxy.formats.messages.messages_from_chat import translate_messages
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.structured_output import ANY_JSON, closed, instruct
from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.limits import default_limit

_SAME: Final = ("temperature", "top_p", "top_k")
"""The fields that mean the same in both APIs."""

_READ: Final = (
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "thinking_budget",
    "user",
)
"""The fields that have a counterpart."""

_SILENT: Final = ("stream_options", "n")
"""The fields without a counterpart whose wish is fulfilled all the same."""

_REASONS: Final[Mapping[str, str]] = {
    "service_tier": "Copilot refuses it",
    "store": "Copilot stores nothing",
    "metadata": "it belongs to stored answers, and Copilot stores nothing",
}
"""Why a field is dropped, where it is not for Claude's API having none like it."""


def from_chat(chat: Json, profile: ModelProfile, notes: list[str]) -> Json:
    """The body for the Messages API, with a note for each change that may matter.

    What the model refuses of it is left to the rule book; `profile` only tells in which form the
    model thinks. Raises `RequestError` for images that are no base64.
    """
    given = {name: value for name, value in chat.items() if value is not None}
    system, messages = translate_messages(given["messages"], notes)
    body: Json = {
        "model": profile.id or given["model"],
        "messages": messages,
        "stream": given.get("stream") is True,
    }
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        body["max_tokens"] = limit
    if system:
        body["system"] = system
    body.update({name: given[name] for name in _SAME if name in given})
    if given.get("user"):
        body["metadata"] = {"user_id": given["user"]}
    if stop := given.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    _tools(given, body, notes)
    _thinking(given, body, profile)
    _format(given, body, notes)
    for name in given:
        if name not in (*_SAME, *_READ, *_SILENT) and given[name] not in (False, 0, [], {}):
            notes.append(f"dropped {name}: {_REASONS.get(name, 'Claude has nothing like it')}")
    return body


def _tools(given: Json, body: Json, notes: list[str]) -> None:
    if given.get("tools"):
        body["tools"] = [_tool(tool) for tool in given["tools"]]
        if choice := _tool_choice(given.get("tool_choice"), notes):
            body["tool_choice"] = choice
        if given.get("parallel_tool_calls") is False:
            choice = body.setdefault("tool_choice", {"type": "auto"})
            if choice["type"] != "none":
                choice["disable_parallel_tool_use"] = True


def _tool(tool: Json) -> Json:
    function = tool["function"]
    made: Json = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters") is not None:
        made["input_schema"] = function["parameters"]
    mark = tool.get("cache_control") or function.get("cache_control")
    return {**made, "cache_control": mark} if mark else made


def _tool_choice(choice: Any, notes: list[str]) -> Json | None:
    match choice:
        case None:
            return None
        case "auto" | "none":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
    notes.append("dropped tool_choice: Claude has nothing like it")
    return None


def _thinking(given: Json, body: Json, profile: ModelProfile) -> None:
    """Thinking as hard as the client asks; none if it does not ask."""
    effort, budget = given.get("reasoning_effort"), given.get("thinking_budget")
    if isinstance(given.get("thinking"), dict):
        body["thinking"] = given["thinking"]
    elif type(budget) is int:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif isinstance(effort, str) and profile.adaptive:
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {"effort": effort}
    elif isinstance(effort, str):
        # Half of the limit at most: an answer has to come after the thinking.
        most = max(_expected_limit(body, profile) // 2, BUDGETS["minimal"])
        tokens = min(BUDGETS.get(effort, BUDGETS["medium"]), most)
        body["thinking"] = {"type": "enabled", "budget_tokens": tokens}


def _expected_limit(body: Json, profile: ModelProfile) -> int:
    """The limit that the answer is going to have."""
    limit: int = body.get("max_tokens", 0)
    if limit < 1:
        limit = default_limit(profile, streams=body["stream"]) or 0
    return min(limit, profile.max_output or limit)


def _format(given: Json, body: Json, notes: list[str]) -> None:
    wanted = given.get("response_format") or {}
    if wanted.get("type") == "json_object":
        instruct(body, ANY_JSON)
        notes.append("changed response_format: an instruction, Claude has no json_object")
    elif wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        config = body.setdefault("output_config", {})
        config["format"] = {"type": "json_schema", "schema": closed(schema or {"type": "object"})}
