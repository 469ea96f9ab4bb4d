"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Claude's own API, served by GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    catalogue,
    claude,
    messages_betas,
    messages_binding,
    messages_rules,
    messages_thinking,
    models,
    pricing,
)
from .conversation import Conversation, Tool
from .documents import DOCUMENT_TOKENS
from .faults import QUIRKS
from .messages_answers import Thoughts, answer
from .refusal import plain
from .script import IMAGE_TOKENS, last_words, make_reply, refuse, tokens
from .stream import send
from .types import Block, ClaudeMessage, Json, MessagesRequest, Model

if TYPE_CHECKING:
    from .call import Call


async def handle(call: Call, headers: dict[str, str]) -> None:
    """Answer a request."""
    body = messages_rules.shape(call.record.body, call)
    model = models.find(call.state, body, catalogue.MESSAGES)
    messages_rules.check(body, model, call)
    thoughts = _thoughts(body, model, call)
    quirks = call.state.faults.take_all(QUIRKS, call.path)
    conversation = read(body, model)
    messages_rules.check_length(model, conversation.prompt_tokens)
    pricing.check_quota(call, model)
    if call.state.prompt_cache is not None:
        call.state.prompt_cache.use(conversation, body)
    reply = make_reply(conversation)
    if "refusal" in quirks:
        refuse(reply)
    pricing.charge(call, model, reply)
    ready = answer(model, reply, call.state.opaque_strings, quirks, thoughts)
    await send(call, ready, headers, streamed=bool(body.get("stream")))


async def count_tokens(call: Call, headers: dict[str, str]) -> None:
    """Answer with the token count of a request. Counting is free of charge."""
    if call.state.faults.take("count_tokens_missing", call.path):
        raise plain(404, "404 page not found\n")
    body = messages_rules.shape(call.record.body, call, counting=True)
    models.find(call.state, body, catalogue.MESSAGES)
    await call.json({"input_tokens": _count(body)}, headers)


def read(body: MessagesRequest, model: Model) -> Conversation:
    """Return the parts of the request that determine the reply."""
    messages = body["messages"]
    choice = body.get("tool_choice") or {}
    found = Conversation(
        model["id"],
        user=_last_user_text(messages),
        results=_results(messages),
        tools=[Tool(one["name"], one["input_schema"]) for one in body.get("tools") or []],
        forced=choice["name"] if choice.get("type") == "tool" else _forced(choice),
        parallel=not choice.get("disable_parallel_tool_use"),
        images=_number(messages, "image"),
        documents=_number(messages, "document"),
        limit=body["max_tokens"],
        stop=body.get("stop_sequences") or [],
        reasons=messages_thinking.thinks(body, model),
        prompt_tokens=_count(body),
    )
    format_ = (body.get("output_config") or {}).get("format") or {}
    if format_.get("type") == "json_schema":
        found.schema = format_.get("schema") or {}
    if any("cache_control" in one for message in messages for one in _blocks(message)):
        found.cached_tokens = found.prompt_tokens // 2
    return found


def _thoughts(body: MessagesRequest, model: Model, call: Call) -> Thoughts:
    """Check the thinking blocks in the conversation, and return how to send those of the answer."""
    dropped = messages_binding.check(body, model, call.state.opaque_strings)
    controls = messages_betas.BINDING in messages_betas.betas_of(call)
    return Thoughts(
        hidden=messages_thinking.hides_thinking(body, model),
        mark=messages_binding.mark_of(body) if claude.binds_history(model) else None,
        transformations=dropped if controls else None,
    )


def _number(messages: list[ClaudeMessage], kind: str) -> int:
    return sum(1 for message in messages for _ in messages_rules.sources(message, kind))


def _forced(choice: Json) -> str | None:
    return {"any": "required", "none": "none"}.get(choice.get("type", "auto"))


def _blocks(message: ClaudeMessage) -> list[Block]:
    return messages_rules.blocks(message)


def _text(message: ClaudeMessage) -> str:
    return "\n".join(one["text"] for one in _blocks(message) if one["type"] == "text")


def _last_user_text(messages: list[ClaudeMessage]) -> str:
    for message in reversed(messages):
        if message["role"] == "user" and (text := last_words(_blocks(message))):
            return text
    return ""


def _results(messages: list[ClaudeMessage]) -> list[tuple[str, str]]:
    """Return (tool name, result) for each result in the last non-system message."""
    names = {
        one["id"]: str(one.get("name"))
        for message in messages
        for one in _blocks(message)
        if one["type"] == "tool_use"
    }
    spoken = [message for message in messages if message["role"] != "system"]
    return [
        (names[one["tool_use_id"]], _text(one))
        for one in (_blocks(spoken[-1]) if spoken else [])
        if one["type"] == "tool_result"
    ]


def _count(body: MessagesRequest) -> int:
    system = body.get("system") or ""
    total = 3 + tokens(system if isinstance(system, str) else str(system))
    for message in body["messages"]:
        total += 4 + sum(_block_tokens(one) for one in _blocks(message))
    return total + sum(tokens(str(tool)) for tool in body.get("tools") or [])


def _block_tokens(block: Block) -> int:
    if block["type"] == "image":
        return IMAGE_TOKENS
    if block["type"] == "document":
        return DOCUMENT_TOKENS
    if block["type"] == "tool_result":
        return sum(_block_tokens(one) for one in _blocks(block))
    if block["type"] == "tool_use":
        return tokens(str(block.get("name")) + str(block["input"]))
    return tokens(str(block.get("text") or ""))
