"""``POST /chat/completions``: checks the request and answers in the format of the model's
vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import catalogue, chat_rules, claude, models, pricing
from .chat_answers import answer, without_choices
from .chat_format import ChatFacts
from .conversation import Conversation, Tool
from .faults import QUIRKS
from .messages_answers import whole as native_body
from .script import IMAGE_TOKENS, last_words, make_reply, refuse, tokens
from .shared_rules import images
from .stream import send
from .types import ChatMessage, ChatRequest, Model, OfferedTool

if TYPE_CHECKING:
    from .call import Call

CLAUDE_DEFAULT_LIMIT = 4096
"""Claude's maximum number of output tokens if the request sets no limit."""


async def handle(call: Call, headers: dict[str, str]) -> None:
    """Answer a request."""
    body = chat_rules.shape(call.record.body)
    model = models.find(call.state, body, catalogue.CHAT)
    chat_rules.check(body, model, call)
    quirks = call.state.faults.take_all(QUIRKS, call.path)
    conversation = read(body, model)
    chat_rules.check_length(model, conversation.prompt_tokens)
    if "ignored_tool_choice" in quirks:
        conversation.forced = None
    pricing.check_quota(call, model)
    if call.state.prompt_cache is not None:
        call.state.prompt_cache.use(conversation, body)
    reply = make_reply(conversation)
    if "refusal" in quirks:
        refuse(reply)
    pricing.charge(call, model, reply)
    if "fenced_json" in quirks and conversation.schema is not None:
        reply.text = f"Here it is:\n```json\n{reply.text}\n```"
    facts = ChatFacts(
        model,
        reply,
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        choices=body.get("n") or 1,
        quirks=quirks,
        calls_before=sum(len(one.get("tool_calls") or []) for one in body["messages"]),
    )
    ready = answer(facts)
    if conversation.limit == 1 and claude.is_modern(model):
        ready = without_choices(facts)
    if "native_claude_body" in quirks and catalogue.vendor(model) == "claude":
        ready.whole = lambda: native_body(model, reply, call.state.opaque_strings, quirks)
    await send(call, ready, headers, streamed=bool(body.get("stream")))


def read(body: ChatRequest, model: Model) -> Conversation:
    """Return the parts of the request that determine the reply."""
    messages = body["messages"]
    format_ = body.get("response_format") or {}
    effort = body.get("reasoning_effort")
    found = Conversation(
        model["id"],
        user=_last_user_text(messages),
        results=_results(messages),
        tools=[_tool(one) for one in body.get("tools") or []],
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False
        and bool(catalogue.supports(model, "parallel_tool_calls")),
        images=sum(1 for message in messages for _ in images(message)),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=[body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or [],
        prompt_tokens=_count(body),
    )
    kind = catalogue.vendor(model)
    if format_.get("type") == "json_schema":
        found.schema = format_["json_schema"].get("schema") or {}
    elif format_.get("type") == "json_object":
        found.schema = {}
    if kind == "claude":
        found.limit = found.limit or CLAUDE_DEFAULT_LIMIT
        found.reasons = effort not in (None, "none") or bool(body.get("thinking_budget"))
    elif kind == "kimi":
        found.reasons = True
    elif kind == "gemini":
        found.reasons = catalogue.supports(model, "max_thinking_budget") is not None
    else:
        found.talks = False
        found.reasons = effort != "none" and catalogue.is_gpt5(model)
    if len(messages) > 2 and found.prompt_tokens >= 1024:
        found.cached_tokens = (found.prompt_tokens - 64) // 128 * 128
    return found


def text_of(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _last_user_text(messages: list[ChatMessage]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            return last_words(message.get("content"))
    return ""


def _results(messages: list[ChatMessage]) -> list[tuple[str, str]]:
    """Return (tool name, result) for each tool result at the end of the conversation.

    System messages after the results are skipped, because coding agents add such messages.
    """
    names = {
        one["id"]: one["function"]["name"]
        for message in messages
        for one in message.get("tool_calls") or []
    }
    found: list[tuple[str, str]] = []
    for message in reversed(messages):
        if message["role"] in ("system", "developer"):
            continue
        if message["role"] != "tool":
            break
        found.insert(0, (names[message["tool_call_id"]], text_of(message.get("content"))))
    return found


def _tool(tool: OfferedTool) -> Tool:
    return Tool(tool["function"]["name"], tool["function"]["parameters"])


def _forced(choice: Any) -> str | None:
    if isinstance(choice, dict):
        return str(choice.get("function", {}).get("name"))
    return choice if choice in ("none", "required") else None


def _count(body: ChatRequest) -> int:
    """Estimate the prompt's token count; each image counts as `IMAGE_TOKENS`."""
    total = 3
    for message in body["messages"]:
        total += 4 + tokens(text_of(message.get("content")))
        total += IMAGE_TOKENS * len(list(images(message)))
        for call in message.get("tool_calls") or []:
            total += tokens(call["function"]["name"] + call["function"].get("arguments", ""))
    return total + sum(tokens(str(tool)) for tool in body.get("tools") or [])
