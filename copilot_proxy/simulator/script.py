"""The reply of the simulated model, for any API: text, tool calls, reasoning and token counts.

The same conversation always gets the same text, so that tests can rely on it. Ids of calls and
answers are not part of it; they are new each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from .prompt import Prompt
from .schema_values import fill

IMAGE_TOKENS = 765
"""The token count of an image of any size."""
MAX_WORDS = 100_000
"""The most words of an answer that the prompt asks to be long."""

VERBS = {"get", "set", "list", "read", "write", "find", "search", "fetch", "run", "make", "create"}
CALLS_TOOL = re.compile(
    r"\b(?:use|call|invoke|run)\b[^.?!\n]{0,40}?\b(?:tools?|functions?)\b|^\s*call\b", re.I
)
SEVERAL_TOOLS = re.compile(r"\b(?:both|all|every|each|several|two)\b[^.?!\n]{0,20}\btools?\b", re.I)
COUNT_TO = re.compile(r"\bcount\b[^.?!\n]{0,30}?\bto\s+(\d{1,6})\b", re.I)
WORD_COUNT = re.compile(r"\b(\d{1,6})\s+words\b", re.I)
FILLER = (
    "the simulator writes meaningless words so that you can watch a long answer arrive piece by "
    "piece and stop it halfway if you like"
)


@dataclass(frozen=True)
class Tool:
    """A tool that the client offers."""

    name: str
    schema: dict[str, Any]


@dataclass
class Conversation:
    """The parts of a request that decide the reply, independent of the API."""

    model: str
    user: str = ""
    """The text of the last user message."""
    results: list[tuple[str, str]] = field(default_factory=list)
    """(name, result) of the tools that were run since the last assistant message."""
    tools: list[Tool] = field(default_factory=list)
    forced: str | None = None
    """``none``, ``required``, or the name of a tool; None lets the model choose."""
    parallel: bool = True
    images: int = 0
    documents: int = 0
    schema: dict[str, Any] | None = None
    """The JSON schema of the answer; an empty schema allows any object."""
    limit: int | None = None
    """The maximum number of tokens in the answer."""
    stop: list[str] = field(default_factory=list)
    reasons: bool = False
    talks: bool = True
    """Whether the model writes some text before it calls a tool."""
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass
class ToolCall:
    """A tool call; `arguments` is JSON text, truncated where the token limit cuts it."""

    name: str
    arguments: str


@dataclass
class Reply:
    """The model's reply and its token counts."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: str = ""
    finish: str = "stop"
    """``stop``, ``length`` or ``tool_calls``, as in chat completions."""
    stop_sequence: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    """Excludes the reasoning."""
    reasoning_tokens: int = 0


def tokens(text: str) -> int:
    """Estimate the token count of a text, at four characters a token."""
    return (len(text) + 3) // 4


def last_words(content: object) -> str:
    """Return the text of a user message, or the last of its text parts.

    Coding agents put their own reminders into the same message, before the user's text.
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
        prompt_tokens=conversation.prompt_tokens, cached_tokens=conversation.cached_tokens
    )
    calls = _calls(conversation)
    if conversation.reasons:
        reply.reasoning = _reasoning(conversation, calls)
        reply.reasoning_tokens = tokens(reply.reasoning)
    if calls:
        if conversation.talks:
            reply.text = f"I will look {'that' if len(calls) == 1 else 'those'} up."
        reply.calls = calls
        reply.finish = "tool_calls"
    else:
        reply.text = _text(conversation)
    _stop(reply, conversation.stop)
    _limit(reply, conversation.limit)
    reply.completion_tokens = tokens(reply.text) + sum(
        tokens(call.name + call.arguments) for call in reply.calls
    )
    return reply


def pieces(text: str) -> list[str]:
    """Split a text into the pieces in which it is streamed, of up to a word each."""
    return re.findall(r"\s*\S{1,7}|\s+", text)


def _calls(conversation: Conversation) -> list[ToolCall]:
    """The tool calls of the reply, if any."""
    if not conversation.tools or conversation.forced == "none":
        return []
    prompt = Prompt(conversation.user)
    if conversation.forced is not None:
        named = [tool for tool in conversation.tools if tool.name == conversation.forced]
        chosen = named or _meant(conversation)[:1] or conversation.tools[:1]
    elif conversation.results:
        return []
    else:
        chosen = _meant(conversation)
    if not conversation.parallel:
        return [_call(tool, prompt) for tool in chosen[:1]]
    if len(chosen) == 1 and prompt.several and _first_string(chosen[0]):
        return [_call(chosen[0], Prompt(prompt.text, one)) for one in prompt.several]
    return [_call(tool, prompt) for tool in chosen]


def _meant(conversation: Conversation) -> list[Tool]:
    """The tools that the prompt asks for."""
    text = conversation.user.lower()
    exact = [tool for tool in conversation.tools if _named(tool.name, text)]
    if SEVERAL_TOOLS.search(text):
        return exact if len(exact) > 1 else conversation.tools
    if exact:
        return exact
    loose = [tool for tool in conversation.tools if _nouns(tool.name) & set(Prompt(text).all)]
    if loose:
        return loose
    return conversation.tools[:1] if CALLS_TOOL.search(text) else []


def _spoken(name: str) -> str:
    """Turn a tool's name into words: ``getWeather`` and ``get_weather`` give "get weather"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_-]+", " ", parted).lower()


def _named(name: str, text: str) -> bool:
    """Whether the text names the tool.

    A one-word name counts only next to a word such as "call" or "tool".
    """
    spoken = re.escape(_spoken(name))
    if " " in _spoken(name):
        written = re.escape(name.lower())
        return bool(re.search(rf"\b(?:{spoken}|{written})\b", text))
    pattern = rf"\b(?:use|call|invoke|run)\s+(?:the\s+)?{spoken}\b|\b{spoken}\s+(?:tool|function)\b"
    return bool(re.search(pattern, text))


def _nouns(name: str) -> set[str]:
    """The nouns in a tool's name: ``get_weather`` gives {"weather"}."""
    words = _spoken(name).split()
    return {word for word in words if len(word) > 3 and word not in VERBS}


def _first_string(tool: Tool) -> str | None:
    """The name of the first property that accepts any string."""
    for name, schema in tool.schema.get("properties", {}).items():
        if isinstance(schema, dict) and schema.get("type") == "string" and "enum" not in schema:
            return str(name)
    return None


def _call(tool: Tool, prompt: Prompt) -> ToolCall:
    arguments = fill(tool.schema or {"type": "object"}, prompt)
    if prompt.focus and (name := _first_string(tool)):
        arguments[name] = prompt.focus
    return ToolCall(tool.name, msgspec.json.encode(arguments).decode() if arguments else "")


def _text(conversation: Conversation) -> str:
    """The text of the answer, which is JSON if the conversation has a schema."""
    prompt = Prompt(conversation.user)
    if conversation.schema is not None:
        value = fill(conversation.schema, prompt) if conversation.schema else None
        if value is None:
            value = {"simulated": True, "answer": conversation.user[:500]}
        return msgspec.json.encode(value).decode()
    if conversation.results:
        quoted = "; ".join(f"{name} answered: {text}" for name, text in conversation.results)
        return f"This is copilot-proxy's simulator, playing {conversation.model}. {quoted}"
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
    todo = f"I should call {calls[0].name}." if calls else "I can answer this at once."
    return f"**Reading the request**\n\nThe user wrote {len(conversation.user)} characters. {todo}"


def _stop(reply: Reply, sequences: list[str]) -> None:
    """Truncate the text before the first stop sequence in it."""
    found = [(reply.text.find(one), one) for one in sequences if one and one in reply.text]
    if found:
        place, reply.stop_sequence = min(found)
        reply.text = reply.text[:place]
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
                kept.append(ToolCall(call.name, call.arguments[: left * 4 - len(call.name)]))
            break
        left -= size
        kept.append(call)
    reply.calls = kept
