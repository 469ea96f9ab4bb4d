"""What the simulated model says, whatever the API: text, tool calls, reasoning and their count.

The same conversation always gets the same words, so that a test can rely on them. The ids of calls
and answers are no part of it; those are new each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from .prompt_words import Words
from .schema_values import fill

IMAGE_TOKENS = 765
"""What an image costs, whatever its size."""
LONGEST = 100_000
"""The most words of an answer that was asked to be long."""

VERBS = {"get", "set", "list", "read", "write", "find", "search", "fetch", "run", "make", "create"}
TELLING = re.compile(
    r"\b(?:use|call|invoke|run)\b[^.?!\n]{0,40}?\b(?:tools?|functions?)\b|^\s*call\b", re.I
)
SEVERAL = re.compile(r"\b(?:both|all|every|each|several|two)\b[^.?!\n]{0,20}\btools?\b", re.I)
COUNT = re.compile(r"\bcount\b[^.?!\n]{0,30}?\bto\s+(\d{1,6})\b", re.I)
WORDS = re.compile(r"\b(\d{1,6})\s+words\b", re.I)
FILLER = (
    "the simulator writes words without meaning so that somebody can watch a long answer arrive "
    "piece by piece and stop it halfway if need be"
)


@dataclass(frozen=True)
class Tool:
    """A tool that the client offers."""

    name: str
    schema: dict[str, Any]


@dataclass
class Conversation:
    """What matters of a request, in no API's shape."""

    model: str
    user: str = ""
    """The text of the last thing a person said."""
    results: list[tuple[str, str]] = field(default_factory=list)
    """Name and outcome of the tools that were run since the model last spoke."""
    tools: list[Tool] = field(default_factory=list)
    forced: str | None = None
    """``none``, ``required``, or the name of a tool; None leaves it to the model."""
    parallel: bool = True
    images: int = 0
    schema: dict[str, Any] | None = None
    """What the answer must be valid against; an empty one asks for any object."""
    limit: int | None = None
    """The most tokens of the answer."""
    stop: list[str] = field(default_factory=list)
    reasons: bool = False
    talks: bool = True
    """Whether the model says something before it calls a tool."""
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass
class ToolCall:
    """A tool that the model wants to be run; `arguments` is JSON text, cut if the limit says so."""

    name: str
    arguments: str


@dataclass
class Reply:
    """What the model says, and what it costs."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: str = ""
    finish: str = "stop"
    """``stop``, ``length`` or ``tool_calls``, in the words of chat completions."""
    stop_sequence: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    """Without the reasoning."""
    reasoning_tokens: int = 0


def tokens(text: str) -> int:
    """A rough count: four characters are a token."""
    return (len(text) + 3) // 4


def last_words(content: object) -> str:
    """What a person said: a message's text, or the last of its texts.

    Clients such as coding agents put their own reminders into the same message, before it.
    """
    if isinstance(content, str):
        return content
    texts = [
        part["text"]
        for part in (content if isinstance(content, list) else [])
        if isinstance(part.get("text"), str)
    ]
    return texts[-1] if texts else ""


def reply(conversation: Conversation) -> Reply:
    """The answer to a conversation."""
    said = Reply(prompt_tokens=conversation.prompt_tokens, cached_tokens=conversation.cached_tokens)
    calls = _calls(conversation)
    if conversation.reasons:
        said.reasoning = _reasoning(conversation, calls)
        said.reasoning_tokens = tokens(said.reasoning)
    if calls:
        if conversation.talks:
            said.text = f"I will look {'that' if len(calls) == 1 else 'those'} up."
        said.calls = calls
        said.finish = "tool_calls"
    else:
        said.text = _text(conversation)
    _stop(said, conversation.stop)
    _limit(said, conversation.limit)
    said.completion_tokens = tokens(said.text) + sum(
        tokens(call.name + call.arguments) for call in said.calls
    )
    return said


def pieces(text: str) -> list[str]:
    """The text in the bites in which it is streamed: a few characters to a word each."""
    return re.findall(r"\s*\S{1,7}|\s+", text)


def _calls(conversation: Conversation) -> list[ToolCall]:
    """The tools that the model runs now, if any."""
    if not conversation.tools or conversation.forced == "none":
        return []
    words = Words(conversation.user)
    if conversation.forced is not None:
        named = [tool for tool in conversation.tools if tool.name == conversation.forced]
        chosen = named or _meant(conversation)[:1] or conversation.tools[:1]
    elif conversation.results:
        return []
    else:
        chosen = _meant(conversation)
    if not conversation.parallel:
        return [_call(tool, words) for tool in chosen[:1]]
    if len(chosen) == 1 and words.several and _first_string(chosen[0]):
        return [_call(chosen[0], Words(words.text, one)) for one in words.several]
    return [_call(tool, words) for tool in chosen]


def _meant(conversation: Conversation) -> list[Tool]:
    """The tools that the person's words ask for."""
    text = conversation.user.lower()
    exact = [tool for tool in conversation.tools if _named(tool.name, text)]
    if SEVERAL.search(text):
        return exact if len(exact) > 1 else conversation.tools
    if exact:
        return exact
    loose = [tool for tool in conversation.tools if _nouns(tool.name) & set(Words(text).all)]
    if loose:
        return loose
    return conversation.tools[:1] if TELLING.search(text) else []


def _spoken(name: str) -> str:
    """A tool's name as words: ``getWeather`` and ``get_weather`` are “get weather”."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_-]+", " ", parted).lower()


def _named(name: str, text: str) -> bool:
    """Whether the text names the tool; a name of one word has to be called a tool, or called."""
    spoken = re.escape(_spoken(name))
    if " " in _spoken(name):
        written = re.escape(name.lower())
        return bool(re.search(rf"\b(?:{spoken}|{written})\b", text))
    told = rf"\b(?:use|call|invoke|run)\s+(?:the\s+)?{spoken}\b|\b{spoken}\s+(?:tool|function)\b"
    return bool(re.search(told, text))


def _nouns(name: str) -> set[str]:
    """What a tool is about: ``get_weather`` is about weather."""
    words = _spoken(name).split()
    return {word for word in words if len(word) > 3 and word not in VERBS}


def _first_string(tool: Tool) -> str | None:
    """The first property that takes any string."""
    for name, schema in tool.schema.get("properties", {}).items():
        if isinstance(schema, dict) and schema.get("type") == "string" and "enum" not in schema:
            return str(name)
    return None


def _call(tool: Tool, words: Words) -> ToolCall:
    arguments = fill(tool.schema or {"type": "object"}, words)
    if words.focus and (name := _first_string(tool)):
        arguments[name] = words.focus
    return ToolCall(tool.name, msgspec.json.encode(arguments).decode() if arguments else "")


def _text(conversation: Conversation) -> str:
    """The answer in words, or in JSON where that is asked for."""
    words = Words(conversation.user)
    if conversation.schema is not None:
        value = fill(conversation.schema, words) if conversation.schema else None
        if value is None:
            value = {"simulated": True, "answer": conversation.user[:500]}
        return msgspec.json.encode(value).decode()
    if conversation.results:
        quoted = "; ".join(f"{name} answered: {text}" for name, text in conversation.results)
        return f"This is copilot-proxy's simulator, playing {conversation.model}. {quoted}"
    if found := COUNT.search(conversation.user):
        return " ".join(str(number) for number in range(1, min(int(found[1]), LONGEST) + 1))
    if found := WORDS.search(conversation.user):
        return " ".join(islice(_filler(), min(int(found[1]), LONGEST)))
    seen = ""
    if conversation.images:
        seen = f" I see {conversation.images} image{'s' if conversation.images > 1 else ''}."
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
    return (
        f"**Reading the request**\n\nThe person wrote {len(conversation.user)} characters. {todo}"
    )


def _stop(said: Reply, sequences: list[str]) -> None:
    """End the text before the first stop sequence that occurs in it."""
    found = [(said.text.find(one), one) for one in sequences if one and one in said.text]
    if found:
        place, said.stop_sequence = min(found)
        said.text = said.text[:place]
        said.calls = []
        said.finish = "stop"


def _limit(said: Reply, limit: int | None) -> None:
    """Cut what goes beyond the limit, reasoning first, then text, then the calls."""
    if limit is None:
        return
    left = limit
    if said.reasoning_tokens > left:
        said.reasoning = said.reasoning[: left * 4]
        said.reasoning_tokens = left
        said.text, said.calls, said.finish = "", [], "length"
        return
    left -= said.reasoning_tokens
    if tokens(said.text) > left:
        said.text, said.calls, said.finish = said.text[: left * 4], [], "length"
        said.stop_sequence = None
        return
    left -= tokens(said.text)
    kept = []
    for call in said.calls:
        size = tokens(call.name + call.arguments)
        if size > left:
            said.finish = "length"
            if left > tokens(call.name):
                kept.append(ToolCall(call.name, call.arguments[: left * 4 - len(call.name)]))
            break
        left -= size
        kept.append(call)
    said.calls = kept
