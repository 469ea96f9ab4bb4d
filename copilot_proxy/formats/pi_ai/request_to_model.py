"""Prepares the request to pi-ai from a chat request."""

from dataclasses import replace

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.chat_completions.outgoing import ChatBody
from copilot_proxy.formats.client_fields import CLIENT_FIELDS
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.pi_ai.models import APIS, api_of
from copilot_proxy.formats.pi_ai.request_from_chat import from_chat
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY
from copilot_proxy.formats.rules import AdaptedBody, apply_rules
from copilot_proxy.formats.types import ChatRequest, Json


def pi_ai_from_chat(
    chat: ChatRequest, model: Model | None, notes: list[str], now: int | None = None
) -> AdaptedBody:
    """Return the request to pi-ai, adding a note for each change that may matter.

    `now` is in ms since 1970. Raises `RequestError` for anything that pi-ai does not support, and
    `UpstreamError` if `model` is None.
    """
    if model is None:
        raise UpstreamError(
            "Copilot's list of models could not be read, and pi-ai requires it.",
            code="upstream_unreachable",
            hint="Try again in a moment.",
        )
    # The only tools that pi-ai supports are functions.
    profile = replace(profile_of(model, APIS[api_of(model)]), custom_tools=False)
    adapted = apply_rules(ChatBody(_copy(chat)), profile, notes, pi_ai=True)
    return adapted._replace(body=from_chat(adapted.body, model, profile, notes, now))


def _copy(chat: ChatRequest) -> ChatRequest:
    """Return the request without our own fields, and with copies of what rules may change."""
    copy = {**chat, "messages": [_message(message) for message in chat["messages"]]}
    copy.pop(REASONING_SUMMARY, None)
    copy.pop(CLIENT_FIELDS, None)
    if chat.get("tools"):
        copy["tools"] = [_tool(tool) for tool in chat["tools"]]
    return copy


def _tool(tool: Json) -> Json:
    return {**tool, **{name: {**tool[name]} for name in ("function", "custom") if tool.get(name)}}


def _message(message: Json) -> Json:
    calls = message.get("tool_calls")
    if not calls:
        return {**message}
    return {**message, "tool_calls": [_call(call) for call in calls]}


def _call(call: Json) -> Json:
    function = call.get("function")
    if function is None:
        return {**call, "custom": {**call["custom"]}}
    return {**call, "function": {**function, "arguments": function.get("arguments") or "{}"}}
