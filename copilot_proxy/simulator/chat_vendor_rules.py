"""Vendor-specific validation of chat completion requests."""

from __future__ import annotations

from itertools import pairwise

from . import catalogue
from .refusal import invalid, plain
from .sampling import sampling_error
from .schema_rules import is_gemini_schema
from .types import ChatMessage, ChatRequest, Model

KNOWN = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "n", "stop", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "reasoning_effort", "thinking_budget", "logprobs", "top_logprobs",
    "logit_bias", "seed", "user", "presence_penalty", "frequency_penalty", "metadata",
    "prediction", "intent", "intent_threshold", "state", "snippy", "copilot_thread_id",
    "copilot_skills",
}  # fmt: skip


def gpt5(body: ChatRequest) -> None:
    """Apply OpenAI's rules for reasoning models."""
    if body.get("max_tokens") is not None:
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead."
        )
    for name in ("temperature", "top_p"):
        if body.get(name) not in (None, 1):
            raise invalid(
                f"Unsupported value: '{name}' does not support {body[name]} with this model. "
                "Only the default (1) value is supported."
            )
    # According to public reports, GPT-5.4 refuses `stop`, but GPT-5.4 mini does not.
    if body.get("stop") is not None and not body["model"].endswith("-mini"):
        raise invalid("Unsupported parameter: 'stop' is not supported with this model.")


def claude(body: ChatRequest, model: Model) -> None:
    """Apply Claude's rules for parameters and for the end of the conversation."""
    for name in body:
        if name not in KNOWN:
            raise invalid(f"{name}: Extra inputs are not permitted")
    if (body.get("n") or 1) > 1:
        raise invalid("n > 1 is not supported with this model")
    if text := sampling_error(model, body):
        raise invalid(text)
    _, version = catalogue.claude_version(model)
    messages = body["messages"]
    for message in messages:
        if message["role"] != "tool" and _has_empty_text(message):
            raise invalid("messages: text content blocks must be non-empty")
    if version >= 4.6 and messages[-1]["role"] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    if messages[-1]["role"] == "assistant" and _ends_in_space(messages[-1]):
        raise invalid("messages: final assistant content cannot end with trailing whitespace")
    _claude_limits(body, model)


def _claude_limits(body: ChatRequest, model: Model) -> None:
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    limit = catalogue.limit(model, "max_non_streaming_output_tokens")
    if not body.get("stream") and limit is not None and asked > limit:
        raise invalid(
            f"max_tokens: {asked} > {limit}, which is the maximum allowed number of output "
            f"tokens for {model['id']} without streaming"
        )
    thinks = body.get("thinking_budget") or body.get("reasoning_effort") not in (None, "none")
    choice = body.get("tool_choice")
    if thinks and (choice == "required" or isinstance(choice, dict)):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _has_empty_text(message: ChatMessage) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return not content.strip()
    return any(not part.get("text", "x").strip() for part in content or [])


def _ends_in_space(message: ChatMessage) -> bool:
    content = message.get("content")
    text = content if isinstance(content, str) else (content or [{}])[-1].get("text", "")
    return bool(text[-1:].isspace())


def kimi(body: ChatRequest) -> None:
    """Apply Kimi's rules: temperature and top_p must have Kimi's own values, or the ones that
    editors always send."""
    for name, own, editors in (("temperature", 1, 0), ("top_p", 0.95, 1)):
        if body.get(name) not in (None, own, editors):
            raise invalid(f"invalid {name}: only {own} is allowed for this model")


def gemini(body: ChatRequest, model: Model) -> None:
    """Apply Gemini's rules, including the signatures that the newest models require."""
    for tool in body.get("tools") or []:
        function = tool.get("function")
        if isinstance(function, dict) and not is_gemini_schema(function.get("parameters")):
            raise plain(400, "Bad Request\n")
    if (body.get("n") or 1) > 1:
        raise invalid("n > 1 is not supported with this model")
    if not catalogue.is_gemini3(model):
        return
    messages = body["messages"]
    for before, message in pairwise(messages):
        if before["role"] == message["role"] == "assistant":
            raise invalid("consecutive assistant messages are not allowed")
    turn = max((n for n, one in enumerate(messages) if one["role"] == "user"), default=0)
    for message in messages[turn:]:
        if message.get("tool_calls") and not message.get("reasoning_opaque"):
            raise invalid(
                "Function call is missing a thought_signature: "
                f"{message['tool_calls'][0]['function']['name']}"
            )
