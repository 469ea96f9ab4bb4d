"""The reply of the simulated model, for any API: text, tool calls, reasoning and token counts.

The same conversation always receives the same text, so that tests can rely on it. The ids of calls
and answers, however, are new each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import msgspec

from .conversation import Conversation, Reply, ToolCall
from .prompt import Prompt
from .schema_values import fill
from .tool_use import call_tools

IMAGE_TOKENS = 765
"""The token count of every image, whatever its size."""
MAX_WORDS = 100_000
"""Maximum number of words in an answer if the prompt asks for a long one."""

COUNT_TO = re.compile(r"\bcount\b[^.?!\n]{0,30}?\bto\s+(\d{1,6})\b", re.I)
APPROVALS = {"<severity>N</severity>": "<severity>0</severity>", "<block>": "<block>no</block>"}
"""Tag -> the answer that lets Claude Code run an action in auto mode. Claude Code first asks
whether the action is safe. Which tag that request contains depends on the model."""
WORD_COUNT = re.compile(r"\b(\d{1,6})\s+words\b", re.I)
REFUSAL = "I cannot help with that: it may harm the security of others."
"""The explanation of a refusal."""
FILLER = (
    "the simulator writes meaningless words so that you can watch a long answer arrive piece by "
    "piece and stop it halfway if you like"
)


def tokens(text: str) -> int:
    """Estimate the token count of text, at four characters per token."""
    return (len(text) + 3) // 4


def last_words(content: object) -> str:
    """Return the text of a user message, or the last of its text parts.

    Coding agents put their own reminders in the same message, before the user's text.
    """
    if isinstance(content, str):
        return content
    texts = [
        part["text"]
        for part in (content if isinstance(content, list) else [])
        if isinstance(part.get("text"), str)
    ]
    return texts[-1] if texts else ""


def make_reply(conversation: Conversation) -> Reply:
    """Return the reply to a conversation."""
    reply = Reply(
        prompt_tokens=conversation.prompt_tokens,
        cached_tokens=conversation.cached_tokens,
        written_tokens=conversation.written_tokens,
    )
    call_tools(conversation, reply)
    calls = reply.calls
    if conversation.reasons:
        reply.reasoning = _reasoning(conversation, calls)
        reply.reasoning_tokens = tokens(reply.reasoning)
    if calls:
        if conversation.talks:
            reply.text = f"I will look {'that' if len(calls) == 1 else 'those'} up."
        reply.finish = "tool_calls"
    elif reply.search is not None:
        reply.finish = "tool_calls"
    else:
        reply.text = _text(conversation)
    _stop(reply, conversation.stop)
    _limit(reply, conversation.limit)
    reply.completion_tokens = tokens(reply.text) + sum(
        tokens(call.name + call.arguments) for call in reply.calls
    )
    return reply


def refuse(reply: Reply) -> None:
    """Convert the reply to a refusal, with `REFUSAL` as its explanation."""
    reply.text, reply.calls, reply.search, reply.finish = "", [], None, "refusal"
    reply.completion_tokens = tokens(REFUSAL)


def pieces(text: str) -> list[str]:
    """Split text into the chunks to stream, each at most one word."""
    return re.findall(r"\s*\S{1,7}|\s+", text)


def _text(conversation: Conversation) -> str:
    """Return the text of the answer, which is JSON if the conversation has a schema."""
    prompt = Prompt(conversation.user)
    if conversation.schema is not None:
        value = fill(conversation.schema, prompt) if conversation.schema else None
        if value is None:
            value = {"simulated": True, "answer": conversation.user[:500]}
        return msgspec.json.encode(value).decode()
    if conversation.results:
        quoted = "; ".join(f"{name} answered: {text}" for name, text in conversation.results)
        return f"This is copilot-proxy's simulator, playing {conversation.model}. {quoted}"
    for tag, approval in APPROVALS.items():
        if tag in conversation.user:
            return approval
    if found := COUNT_TO.search(conversation.user):
        return " ".join(str(number) for number in range(1, min(int(found[1]), MAX_WORDS) + 1))
    if found := WORD_COUNT.search(conversation.user):
        return " ".join(islice(_filler(), min(int(found[1]), MAX_WORDS)))
    seen = ""
    for verb, thing, number in (
        ("see", "image", conversation.images),
        ("read", "document", conversation.documents),
    ):
        if number:
            seen += f" I {verb} {number} {thing}{'s' if number > 1 else ''}."
    echoed = conversation.user if len(conversation.user) <= 2000 else conversation.user[:2000] + "…"
    return (
        f"This is copilot-proxy's simulator, playing {conversation.model}: no model has read this."
        f"{seen} You said: {echoed}"
    )


def _filler() -> Iterator[str]:
    while True:
        yield from FILLER.split()


def _reasoning(conversation: Conversation, calls: list[ToolCall]) -> str:
    todo = f"I should call {calls[0].name}." if calls else "I can answer this right away."
    return f"**Reading the request**\n\nThe user wrote {len(conversation.user)} characters. {todo}"


def _stop(reply: Reply, sequences: list[str]) -> None:
    """Truncate the text before the first stop sequence that occurs in it."""
    found = [(reply.text.find(one), one) for one in sequences if one and one in reply.text]
    if found:
        index, reply.stop_sequence = min(found)
        reply.text = reply.text[:index]
        reply.calls = []
        reply.finish = "stop"


def _limit(reply: Reply, limit: int | None) -> None:
    """Truncate the reply to the limit; reasoning counts first, then the text, then the calls."""
    if limit is None:
        return
    left = limit
    if reply.reasoning_tokens > left:
        reply.reasoning = reply.reasoning[: left * 4]
        reply.reasoning_tokens = left
        reply.text, reply.calls, reply.finish = "", [], "length"
        return
    left -= reply.reasoning_tokens
    if tokens(reply.text) > left:
        reply.text, reply.calls, reply.finish = reply.text[: left * 4], [], "length"
        reply.stop_sequence = None
        return
    left -= tokens(reply.text)
    kept = []
    for call in reply.calls:
        size = tokens(call.name + call.arguments)
        if size > left:
            reply.finish = "length"
            if left > tokens(call.name):
                arguments = call.arguments[: left * 4 - len(call.name)]
                kept.append(replace(call, arguments=arguments))
            break
        left -= size
        kept.append(call)
    reply.calls = kept
