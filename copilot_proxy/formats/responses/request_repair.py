"""Makes a client's Responses request one that Copilot takes from models that speak it themselves.

What is dropped or converted stands in the tables at the top; nothing else is touched. The answer
goes through `ResponsesRepair`, or `repair_whole` when it is not streamed.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.adapt import is_reasoning_gpt
from copilot_proxy.formats.responses import sealed_reasoning
from copilot_proxy.formats.responses.efforts import nearest_effort
from copilot_proxy.formats.responses.request import items
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair, repair_whole
from copilot_proxy.formats.responses.tools import (
    HANDLING,
    Toolbox,
    call_name,
    custom_arguments,
    is_own_search,
    offered,
    search_as_function,
)

__all__ = ["ResponsesRepair", "prepare", "repair_whole"]

LEAST_OUTPUT: Final = 16
"""Fewer output tokens than these OpenAI's models refuse."""

ENCRYPTED: Final = "reasoning.encrypted_content"

_TAKEN: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "stream",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "reasoning",
        "text",
        "include",
        "truncation",
        "prompt_cache_key",
        "context_management",
        "user",
    }
)
"""The fields that Copilot takes; any other may have the whole request refused."""

_REASONS: Final[Mapping[str, str]] = {
    "service_tier": "Copilot refuses it",
    "safety_identifier": "Copilot refuses it",
    "background": "Copilot does not have it",
    "store": "Copilot stores nothing",
    "metadata": "Copilot stores nothing; the answer repeats it",
    "top_logprobs": "Copilot gives no logprobs",
    "max_tool_calls": "it counts tools that Copilot does not run",
}
"""Why a field is dropped, where there is more to say than that Copilot does not take it."""

_SILENT: Final[Mapping[str, tuple[Any, ...]]] = {
    "store": (False,),
    "background": (False,),
    "metadata": ({},),
    "service_tier": ("auto", "default"),
    "stream_options": ({}, {"include_obfuscation": False}),
}
"""Values that ask for what Copilot does anyway: nobody needs to know that they are dropped."""

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


def prepare(
    request: Json, model: Model | None, notes: list[str], *, hosted: Collection[str] = ()
) -> Json:
    """The body for Copilot's Responses API, from a request that `parse_request` let through.

    `model` is None when the catalogue could not be read: then only what every model needs is done.
    `hosted` are kinds of tools, such as ``web_search``, that are passed on as they are: whether
    Copilot runs them depends on the day and the model.
    """
    body = {name: value for name, value in request.items() if value is not None}
    for name in [name for name in body if name not in _TAKEN]:
        value = body.pop(name)
        if value not in _SILENT.get(name, ()):
            notes.append(f"dropped {name}: {_REASONS.get(name, 'Copilot does not take it')}")
    if model is not None:
        body["model"] = model.id
    body["store"] = False
    if body.get("stream") is True:
        body["stream"] = model is None or model.supports.get("streaming") is True
    _include(body, notes)
    drop_sampling(body, model, notes)
    raise_limit(body, notes)
    _reasoning(body, model, notes)
    _tools(body, hosted, notes)
    drop_parallel_calls(body, model, notes)
    if not isinstance(body["input"], str):
        body["input"] = _items(items(body), hosted, notes)
    return body


def drop_sampling(body: Json, model: Model | None, notes: list[str]) -> None:
    """Drops `temperature` and `top_p`, which reasoning models refuse."""
    if model is None or not (model.reasoning_efforts or is_reasoning_gpt(model)):
        return
    for name in ("temperature", "top_p"):
        if name in body and body.pop(name) != 1:
            notes.append(f"dropped {name}: the model takes only its default")


def drop_parallel_calls(body: Json, model: Model | None, notes: list[str]) -> None:
    """Drops `parallel_tool_calls` where it means nothing or the model does not have it."""
    if "parallel_tool_calls" not in body:
        return
    if "tools" not in body:
        del body["parallel_tool_calls"]
    elif model is not None and model.supports.get("parallel_tool_calls") is not True:
        del body["parallel_tool_calls"]
        notes.append("dropped parallel_tool_calls: the model does not have it")


def raise_limit(body: Json, notes: list[str]) -> None:
    """Raises `max_output_tokens` to the least that OpenAI's models take."""
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and limit < LEAST_OUTPUT:
        body["max_output_tokens"] = LEAST_OUTPUT
        notes.append(f"changed max_output_tokens: {limit} to {LEAST_OUTPUT}, the least there is")


def _include(body: Json, notes: list[str]) -> None:
    """Asks for encrypted reasoning, always: it is how the next turn keeps it, as nothing is
    stored."""
    for name in body.get("include", ()):
        if name != ENCRYPTED:
            notes.append(f"dropped include {name}: Copilot does not have it")
    body["include"] = [ENCRYPTED]


def _reasoning(body: Json, model: Model | None, notes: list[str]) -> None:
    reasoning = {name: v for name, v in (body.get("reasoning") or {}).items() if v is not None}
    effort = reasoning.get("effort")
    if model is not None and effort is not None:
        if not model.reasoning_efforts:
            del reasoning["effort"]
            notes.append("dropped reasoning.effort: the model has no levels of it")
        elif (nearest := nearest_effort(effort, model.reasoning_efforts)) != effort:
            reasoning["effort"] = nearest
            notes.append(f"changed reasoning.effort: {effort} to {nearest}")
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
