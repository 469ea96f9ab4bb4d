"""A chat completions request as one that pi-ai streams.

What is carried over, what is refused and what is lost stands in the tables at the top.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.efforts import effort_of, nearest_effort
from copilot_proxy.formats.pi_ai.messages_from_chat import Translation
from copilot_proxy.formats.pi_ai.models import (
    Json,
    PiApi,
    api_of,
    can_think,
    pi_model,
)
from copilot_proxy.formats.profiles import ModelProfile

CARRIED: Final = (
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "reasoning_effort",
    "thinking_budget",
)
"""The fields that pi-ai's context and options have a place for."""

SILENT: Final = ("stream", "stream_options", "n", "store", "parallel_tool_calls")
"""The fields without a place whose wish is mostly fulfilled all the same: pi-ai always streams and
counts, stores nothing, and lets models call several tools at once."""


class Refusal(NamedTuple):
    """A field without which the answer would be another one than was asked for."""

    field: str
    asks: str
    """What it asks for."""


REFUSED: Final = (
    Refusal("logprobs", "log probabilities"),
    Refusal("top_logprobs", "log probabilities"),
    Refusal("response_format", "JSON"),
    Refusal("audio", "speech"),
)

DROPPED: Final = (
    "top_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prediction",
    "verbosity",
    "modalities",
    "web_search_options",
    "thinking",
    "top_k",
)
"""The fields that are known to be lost, as docs/pi-ai.md lists them; so is every other one."""

_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")
"""How hard pi-ai can be told to think."""
_BUDGET_LEVELS: Final = _LEVELS[:-1]
"""Those for which it takes a number of tokens."""
_BETA: Final = "interleaved-thinking-2025-05-14"
"""The one beta of pi-ai's that Copilot takes; it is for models that do not decide by themselves."""


def to_pi(
    chat: Json, model: Model, profile: ModelProfile, notes: list[str], now: int | None = None
) -> Json:
    """The request for pi-ai, with a note for each change that may matter.

    What the model refuses of the conversation is left to the rule book.

    ``pi`` is pi-ai's `Model` but for its address, ``context`` its `Context`, ``options`` what
    `streamSimple` takes, ``payload`` what it has no option for and goes into the request as it is,
    ``headers`` those of the API. `now` is in ms since 1970. Raises `RequestError` for what pi-ai
    cannot ask for.
    """
    given = {name: value for name, value in chat.items() if value is not None}
    _refuse(given)
    if model.supports.get("streaming") is False:
        raise RequestError(
            f"The model {model.id} does not stream, and pi-ai reads nothing but streams.",
            param="model",
            code="unsupported_value",
            hint="Take another model, or start the server without --upstream pi-ai.",
        )
    tools, choice = _chosen(given, notes)
    api = api_of(model)
    messages = Translation(model.id, api, int(time.time() * 1000) if now is None else now, notes)
    context = messages.context(given["messages"])
    options: Json = {"cacheRetention": "short"}
    payload: Json = {}
    if tools:
        context["tools"] = [_tool(tool["function"]) for tool in tools]
        if any(tool["function"].get("strict") for tool in tools):
            notes.append("dropped strict of tools: pi-ai has nothing like it")
        if api == "anthropic-messages":
            payload["tools"] = _claude_tools(context["tools"])
        if choice is not None:
            _choose(choice, api, options, payload)
    levels = _reasoning(given, profile, api, choice, options, notes)
    _sampling(given, profile, options, notes)
    _limit(given, profile, options, notes)
    _note_losses(given, notes)
    thinks = bool(options.get("reasoning")) or api != "anthropic-messages"
    reasoning = thinks and can_think(profile, api)
    body: Json = {
        "model": model.id,
        "pi": pi_model(model, profile, api, reasoning=reasoning, levels=levels),
        "context": context,
        "options": options,
        "payload": payload,
        "headers": {},
    }
    if api == "anthropic-messages":
        # pi-ai's own list holds names that Copilot refuses.
        beta = _BETA if reasoning and not profile.adaptive else None
        body["headers"]["anthropic-beta"] = beta
    return body


def _refuse(given: Json) -> None:
    for field, asks in REFUSED:
        value = given.get(field)
        if not value or (field == "response_format" and value.get("type") == "text"):
            continue
        raise RequestError(
            f"The server asks Copilot through pi-ai, which cannot ask for {asks}.",
            param=field,
            code="unsupported_parameter",
            hint=f"Leave `{field}` out, or start the server without --upstream pi-ai.",
        )


def _chosen(given: Json, notes: list[str]) -> tuple[list[Json], Any]:
    """The tools and the choice among them; a choice of several becomes fewer tools."""
    tools, choice = given.get("tools") or [], given.get("tool_choice")
    match choice:
        case None | "auto" | "none" | "required" | {"type": "function"}:
            return tools, choice
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(allowed), **rest}}:
            names = {(one.get("function") or {}).get("name") for one in allowed}
            return [t for t in tools if t["function"]["name"] in names], rest.get("mode", "auto")
    notes.append("dropped tool_choice: pi-ai has nothing like it")
    return tools, None


def _tool(function: Json) -> Json:
    return {
        "name": function["name"],
        "description": function.get("description") or "",
        "parameters": function["parameters"],
    }


def _claude_tools(tools: list[Json]) -> list[Json]:
    """The tools as pi-ai would write them, but with all of their schemas: it keeps of each no more
    than its properties, so that references in them would lead nowhere."""
    made = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "input_schema": tool["parameters"],
        }
        for tool in tools
    ]
    made[-1]["cache_control"] = {"type": "ephemeral"}
    return made


def _choose(choice: Any, api: PiApi, options: Json, payload: Json) -> None:
    """The choice where pi-ai has an option for it, else in the words of the API."""
    name = choice["function"]["name"] if isinstance(choice, dict) else None
    if api == "openai-completions":
        options["toolChoice"] = choice
    elif api == "openai-responses":
        payload["tool_choice"] = {"type": "function", "name": name} if name else choice
    elif name:
        payload["tool_choice"] = {"type": "tool", "name": name}
    else:
        payload["tool_choice"] = {"type": "any" if choice == "required" else choice}


def _reasoning(
    given: Json, profile: ModelProfile, api: PiApi, choice: Any, options: Json, notes: list[str]
) -> Mapping[str, str]:
    """Sets how hard to think; gives Copilot's names of pi-ai's levels."""
    budget, effort = given.get("thinking_budget"), given.get("reasoning_effort")
    if type(budget) is int:
        effort = effort or effort_of(budget)
        if api != "anthropic-messages":
            notes.append(f"changed thinking_budget: reasoning_effort {effort}, as pi-ai has it")
    if effort is None:
        return {}
    if not can_think(profile, api):
        if effort != "none":
            notes.append("dropped reasoning_effort: pi-ai has no levels of it for the model")
        return {}
    if effort == "none":
        return _without_reasoning(profile, api, notes)
    forced = choice == "required" or isinstance(choice, dict)
    if forced and not profile.thinks_with_forced_tool and api == "anthropic-messages":
        notes.append("dropped reasoning_effort: Claude does not think when a tool is forced")
        return {}
    level = {"max": "xhigh"}.get(effort, effort)
    if level not in _LEVELS:
        notes.append(f"changed reasoning_effort: {effort} to medium")
        effort = level = "medium"
    if api == "anthropic-messages" and type(budget) is int:
        level = level if level in _BUDGET_LEVELS else "high"
        options["thinkingBudgets"] = {level: budget}
    options["reasoning"] = level
    nearest = nearest_effort(effort, profile.efforts or ())
    if nearest is None:
        return {}
    if nearest != effort:
        notes.append(f"changed reasoning_effort: {effort} to {nearest}")
    return {level: nearest}


def _without_reasoning(profile: ModelProfile, api: PiApi, notes: list[str]) -> Mapping[str, str]:
    if api == "openai-completions" and "none" in (profile.efforts or ()):
        return {"off": "none"}
    if api != "anthropic-messages":
        notes.append("dropped reasoning_effort: pi-ai cannot switch it off for the model")
    return {}


def _sampling(given: Json, profile: ModelProfile, options: Json, notes: list[str]) -> None:
    if "temperature" not in given:
        return
    if "temperature" in profile.fixed_sampling:
        if given["temperature"] != 1:
            notes.append("dropped temperature: the model takes only its default")
    elif not profile.samples_while_thinking and options.get("reasoning"):
        notes.append("dropped temperature: Claude takes none while it thinks")
    else:
        options["temperature"] = given["temperature"]


def _limit(given: Json, profile: ModelProfile, options: Json, notes: list[str]) -> None:
    asked = given.get("max_completion_tokens", given.get("max_tokens"))
    if not isinstance(asked, int):
        return
    if asked < 1:
        # Without a limit pi-ai would ask for the model's.
        raise RequestError("The limit of tokens must be at least 1.", param="max_tokens")
    limit = max(min(asked, profile.max_output or asked), profile.min_output or 1)
    if limit != asked:
        notes.append(f"changed max_tokens: {asked} to {limit}, the model's limit")
    options["maxTokens"] = limit


def _note_losses(given: Json, notes: list[str]) -> None:
    if given.get("parallel_tool_calls") is False and given.get("tools"):
        notes.append("dropped parallel_tool_calls: pi-ai has nothing like it")
    refused = {one.field for one in REFUSED}
    for name, value in given.items():
        if name not in (*CARRIED, *SILENT, *refused) and value not in (False, 0, [], {}):
            notes.append(f"dropped {name}: pi-ai has nothing like it")
