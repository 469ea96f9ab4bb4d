"""Translates a chat request into a request to pi-ai.

The tables at the top list the fields that are passed on, refused or dropped.
"""

import time
from typing import Any, Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.pi_ai import thinking
from copilot_proxy.formats.pi_ai.messages_from_chat import MessagesBuilder
from copilot_proxy.formats.pi_ai.models import (
    PiApi,
    api_of,
    can_think,
    pi_model,
)
from copilot_proxy.formats.types import ChatRequest, Json, PiAiRequest

PASSED_ON: Final = (
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
"""The fields that pi-ai's context and options support."""

IGNORED: Final = ("stream", "stream_options", "n", "parallel_tool_calls")
"""Fields that pi-ai does not support, but whose usual values match its behavior: it always streams,
counts tokens, and lets models call tools in parallel."""


_SYSTEM_BETA: Final = "mid-conversation-system-2026-04-07"
"""The beta of Claude's API for system messages in the conversation."""


class RefusedField(NamedTuple):
    """A field that cannot be dropped, because the response would be wrong without it."""

    field: str
    feature: str
    """The feature that the field requests, for the error message."""


REFUSED: Final = (
    RefusedField("logprobs", "log probabilities"),
    RefusedField("top_logprobs", "log probabilities"),
    RefusedField("response_format", "JSON output"),
)

DROPPED: Final = (
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "prompt_cache_key",
    "prompt_cache_options",
    "prediction",
    "verbosity",
    "thinking",
    "top_k",
)
"""The known fields that are dropped, as listed in docs/pi-ai.md. Unknown fields are also
dropped."""


def from_chat(
    chat: ChatRequest,
    model: Model,
    profile: ModelProfile,
    notes: list[str],
    now: int | None = None,
) -> PiAiRequest:
    """Return the request to pi-ai, adding a note for each change that may matter.

    The model's rules must already have been applied. `now` is in ms since 1970.

    The request is ``{"model", "pi", "context", "options", "payload", "opaque", "headers"}``:

    - ``pi``: pi-ai's `Model` without ``baseUrl``.
    - ``context``: pi-ai's `TranscriptContext`.
    - ``options``: the options of pi-ai's `streamSimple`.
    - ``payload``: fields without an option, to be added to pi-ai's request to Copilot.
    - ``opaque``: the id of a message's first tool call -> the message's encrypted reasoning, which
      pi-ai does not send back. None if no message has any.
    - ``headers``: headers to add to the request to Copilot.

    Raises `RequestError` for anything that pi-ai does not support.
    """
    fields = {name: value for name, value in chat.items() if value is not None}
    _refuse(fields)
    if model.supports.get("streaming") is False:
        raise RequestError(
            f"The model {model.id} does not stream, and pi-ai reads only streams.",
            param="model",
            code="unsupported_value",
            hint="Use another model, or start the server without --upstream pi-ai.",
        )
    chat_tools, choice = _tools(fields, notes)
    tools = [_tool(tool["function"]) for tool in chat_tools]
    api = api_of(model)
    now = int(time.time() * 1000) if now is None else now
    builder = MessagesBuilder(model.id, api, now, notes)
    context = builder.context(fields["messages"], tools)
    options: Json = {"cacheRetention": "short"}
    payload: Json = {}
    if tools:
        if any(tool["function"].get("strict") for tool in chat_tools):
            notes.append("dropped strict from tools: pi-ai does not support it")
        if api == "anthropic-messages":
            payload["tools"] = _claude_tools(tools)
        if choice is not None:
            _set_choice(choice, api, options, payload)
    levels = thinking.set_reasoning(fields, profile, api, choice, options, payload, notes)
    _sampling(fields, profile, options, notes)
    limit = fields.get("max_completion_tokens", fields.get("max_tokens"))
    if limit is not None:
        options["maxTokens"] = limit
    _note_dropped(fields, notes)
    thinks = bool(options.get("reasoning")) or api != "anthropic-messages"
    reasoning = thinks and can_think(profile, api)
    body: PiAiRequest = {
        "model": model.id,
        "pi": pi_model(model, profile, api, reasoning=reasoning, levels=levels),
        "context": context,
        "options": options,
        "payload": payload,
        "opaque": builder.opaque or None,
        "headers": {},
    }
    if api == "anthropic-messages":
        if not (thinking.is_forced(choice) and not reasoning):
            thinking.set_adaptive_thinking(profile, payload, reasoning=reasoning)
        # pi-ai's own list contains names that Copilot rejects.
        betas = [thinking.beta(profile, payload, reasoning=reasoning), _system_beta(context)]
        body["headers"]["anthropic-beta"] = ",".join(filter(None, betas)) or None
    return body


def _system_beta(context: Json) -> str | None:
    later = context["messages"][1:]
    return _SYSTEM_BETA if any(message["role"] == "system" for message in later) else None


def _refuse(fields: ChatRequest) -> None:
    for field, feature in REFUSED:
        value = fields.get(field)
        if not value or (field == "response_format" and value.get("type") == "text"):
            continue
        raise RequestError(
            f"The server calls Copilot through pi-ai, which does not support {feature}.",
            param=field,
            code="unsupported_parameter",
            hint=f"Omit `{field}`, or start the server without --upstream pi-ai.",
        )


def _tools(fields: ChatRequest, notes: list[str]) -> tuple[list[Json], Any]:
    """Return the tools and the `tool_choice`, which is None if pi-ai does not support it."""
    tools, choice = fields.get("tools") or [], fields.get("tool_choice")
    if choice == "validated":
        choice = "auto"
    match choice:
        case None | "auto" | "none" | "required" | {"type": "function"}:
            return tools, choice
    notes.append("dropped tool_choice: pi-ai does not support it")
    return tools, None


def _tool(function: Json) -> Json:
    return {
        "name": function["name"],
        "description": function.get("description") or "",
        "parameters": function["parameters"],
    }


def _claude_tools(tools: list[Json]) -> list[Json]:
    """Return the tools as pi-ai would send them, but with their complete schemas.

    pi-ai only keeps the properties of a schema, which breaks references to its other parts.
    """
    claude_tools = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "input_schema": tool["parameters"],
        }
        for tool in tools
    ]
    claude_tools[-1]["cache_control"] = {"type": "ephemeral"}
    return claude_tools


def _set_choice(choice: Any, api: PiApi, options: Json, payload: Json) -> None:
    """Set the tool choice: in `options` if pi-ai has an option for it on `api`, otherwise in
    `payload`."""
    name = choice["function"]["name"] if isinstance(choice, dict) else None
    if api == "openai-completions":
        options["toolChoice"] = choice
    elif api == "openai-responses":
        payload["tool_choice"] = {"type": "function", "name": name} if name else choice
    elif name:
        payload["tool_choice"] = {"type": "tool", "name": name}
    else:
        payload["tool_choice"] = {"type": "any" if choice == "required" else choice}


def _sampling(fields: ChatRequest, profile: ModelProfile, options: Json, notes: list[str]) -> None:
    if "temperature" not in fields:
        return
    if not profile.samples_while_thinking and options.get("reasoning"):
        notes.append("dropped temperature: Claude does not accept it with thinking")
    elif "temperature" not in profile.fixed_sampling:
        options["temperature"] = fields["temperature"]


def _note_dropped(fields: ChatRequest, notes: list[str]) -> None:
    if fields.get("parallel_tool_calls") is False and fields.get("tools"):
        notes.append("dropped parallel_tool_calls: pi-ai does not support it")
    refused = {one.field for one in REFUSED}
    for name, value in fields.items():
        if name not in (*PASSED_ON, *IGNORED, *refused) and value not in (False, 0, [], {}):
            notes.append(f"dropped {name}: pi-ai does not support it")
