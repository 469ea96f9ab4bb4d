"""Removes empty values from a request, because they ask for nothing and some models refuse them.

For example, clients written in Go send the zero value of every unset field, and an agent without
tools may send an empty list of tools. Not every model accepts an empty list of stop sequences, or
an empty list as a tool result.

Nulls are not removed, since every API treats them as missing fields.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from copilot_proxy.formats.types import Json

_EMPTY: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "chat_completions": {
        "audio": ({},),
        "frequency_penalty": (0, 0.0),
        "function_call": ("",),
        "functions": ([],),
        "logit_bias": ({},),
        "logprobs": (False,),
        "presence_penalty": (0, 0.0),
        "prompt_cache_key": ("",),
        "prompt_cache_options": ({},),
        "prompt_cache_retention": ("",),
        "reasoning_effort": ("",),
        "safety_identifier": ("",),
        "service_tier": ("",),
        "stop": ("", [], [""]),
        "tool_choice": ("",),
        "top_logprobs": (0,),
        "user": ("",),
        "verbosity": ("",),
    },
    "responses": {
        "context_management": ([],),
        "include": ([],),
        "instructions": ("",),
        "previous_response_id": ("",),
        "prompt_cache_key": ("",),
        "prompt_cache_options": ({},),
        "prompt_cache_retention": ("",),
        "reasoning": ({},),
        "safety_identifier": ("",),
        "service_tier": ("",),
        "text": ({},),
        "tool_choice": ("",),
        "tools": ([],),
        "top_logprobs": (0,),
        "truncation": ("",),
        "user": ("",),
    },
    "messages": {
        "context_management": ({},),
        "metadata": ({},),
        "output_config": ({},),
        "service_tier": ("",),
        "stop_sequences": ([], [""]),
        "system": ("", []),
        "tools": ([],),
    },
}
"""The values that ask for nothing, by client API and field."""

_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


def drop_empty(api: str, request: Json) -> None:
    """Remove the fields of `request` that ask for nothing, and replace null results and empty
    contents with empty strings.

    `request` must be newly decoded, and in the format of the client API `api`.
    """
    drop_empty_fields(api, request)
    if api == "chat_completions":
        for message in _turns(request.get("messages")):
            if isinstance(message, dict) and not message.get("content"):
                content = message.get("content")
                if content == [] or (content is None and message.get("role") == "tool"):
                    message["content"] = ""
    elif api == "responses":
        for item in _turns(request.get("input")):
            is_result = isinstance(item, dict) and item.get("type") in _RESULTS
            if is_result and item.get("output") in (None, []):
                item["output"] = ""


def drop_empty_fields(api: str, request: Json) -> None:
    """Remove the fields of `request` that ask for nothing; `request` is in the format of `api`."""
    empty = _EMPTY[api]
    if empty.keys().isdisjoint(request):
        return  # the usual case
    for name in [name for name in request if name in empty and _is_in(request[name], empty[name])]:
        del request[name]


def _is_in(value: Any, empty: tuple[Any, ...]) -> bool:
    # In Python, `False == 0`.
    return any(type(value) is type(one) and value == one for one in empty)


def _turns(value: Any) -> Iterable[Any]:
    # A conversation of structs contains no empty values.
    return value if type(value) is list else ()
