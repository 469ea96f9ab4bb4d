"""Chooses the tools that the simulated model calls, and their arguments."""

from __future__ import annotations

import re

import msgspec

from .conversation import Conversation, Reply, Tool, ToolCall, ToolSearch
from .prompt import PATH, Prompt
from .schema_values import fill

VERBS = {"get", "set", "list", "read", "write", "find", "search", "fetch", "run", "make", "create"}
CALLS_TOOL = re.compile(
    r"\b(?:use|call|invoke|run)\b[^.?!\n]{0,40}?\b(?:tools?|functions?)\b|^\s*call\b", re.I
)
SEVERAL_TOOLS = re.compile(r"\b(?:both|all|every|each|several|two)\b[^.?!\n]{0,20}\btools?\b", re.I)


PATCH = "*** Begin Patch"
"""The start of all input for ``apply_patch``. Only the grammar of this tool contains it."""


def call_tools(conversation: Conversation, reply: Reply) -> None:
    """Add to the reply the tool calls and the tool search that the conversation asks for."""
    visible = [tool for tool in conversation.tools if not tool.deferred]
    hidden = [tool for tool in conversation.tools if tool.deferred]
    if conversation.search is not None and conversation.forced is None and not conversation.results:
        found = [] if _meant(conversation, visible) else _meant(conversation, hidden)
        if found:
            reply.search = _search(conversation, found)
            visible = [] if reply.search.client else found
    reply.calls = _calls(conversation, visible)


def _search(conversation: Conversation, found: list[Tool]) -> ToolSearch:
    """Return the search that finds the tools in `found`."""
    offer = conversation.search
    if offer is not None and offer.client:
        arguments = fill(offer.schema or {"type": "object"}, Prompt(conversation.user))
        return ToolSearch(client=True, arguments=arguments or {"query": found[0].name})
    definitions = []
    for tool in found:
        if tool.definition not in definitions:
            definitions.append(tool.definition)
    paths = [tool.namespace or tool.name for tool in found]
    return ToolSearch(client=False, arguments={"paths": paths}, found=definitions)


def _calls(conversation: Conversation, tools: list[Tool]) -> list[ToolCall]:
    """Return the calls to `tools` that the reply should contain."""
    if not tools or conversation.forced == "none":
        return []
    prompt = Prompt(conversation.user)
    if conversation.forced is not None:
        named = [tool for tool in tools if tool.name == conversation.forced]
        chosen = named or _meant(conversation, tools)[:1] or tools[:1]
    elif conversation.results:
        return []
    else:
        chosen = _meant(conversation, tools)
    if not conversation.parallel:
        return [_call(tool, prompt) for tool in chosen[:1]]
    if len(chosen) == 1 and prompt.several and _first_string(chosen[0]):
        return [_call(chosen[0], Prompt(prompt.text, one)) for one in prompt.several]
    return [_call(tool, prompt) for tool in chosen]


def _meant(conversation: Conversation, tools: list[Tool]) -> list[Tool]:
    """Return the tools that the prompt asks for."""
    text = conversation.user.lower()
    exact = [tool for tool in tools if _named(tool.name, text)]
    if SEVERAL_TOOLS.search(text):
        return exact if len(exact) > 1 else tools
    if exact:
        return exact
    loose = [tool for tool in tools if _nouns(tool.name) & set(Prompt(text).all)]
    if loose:
        return loose
    return tools[:1] if CALLS_TOOL.search(text) else []


def _spoken(name: str) -> str:
    """Convert a tool's name to words: ``getWeather`` and ``get_weather`` become "get weather"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_-]+", " ", parted).lower()


def _named(name: str, text: str) -> bool:
    """Return whether the text names the tool.

    A one-word name counts only next to a word such as "call" or "tool".
    """
    spoken = re.escape(_spoken(name))
    if " " in _spoken(name):
        written = re.escape(name.lower())
        return bool(re.search(rf"\b(?:{spoken}|{written})\b", text))
    pattern = rf"\b(?:use|call|invoke|run)\s+(?:the\s+)?{spoken}\b|\b{spoken}\s+(?:tool|function)\b"
    return bool(re.search(pattern, text))


def _nouns(name: str) -> set[str]:
    """Return the nouns in a tool's name: {"weather"} for ``get_weather``."""
    words = _spoken(name).split()
    return {word for word in words if len(word) > 3 and word not in VERBS}


def _first_string(tool: Tool) -> str | None:
    """Return the name of the first property that accepts any string, or None."""
    for name, schema in tool.schema.get("properties", {}).items():
        if isinstance(schema, dict) and schema.get("type") == "string" and "enum" not in schema:
            return str(name)
    return None


def _call(tool: Tool, prompt: Prompt) -> ToolCall:
    if tool.custom:
        return ToolCall(tool.name, _input(tool, prompt), custom=True, namespace=tool.namespace)
    arguments = fill(tool.schema or {"type": "object"}, prompt)
    if prompt.focus and (name := _first_string(tool)):
        arguments[name] = prompt.focus
    text = msgspec.json.encode(arguments).decode() if arguments else ""
    return ToolCall(tool.name, text, namespace=tool.namespace)


def _input(tool: Tool, prompt: Prompt) -> str:
    """Return the input for a custom tool: a patch, a match for a pattern, or the prompt's words."""
    grammar = tool.grammar or {}
    definition = grammar.get("definition", "")
    text = prompt.phrase("input")
    if PATCH in definition:
        path = PATH.search(prompt.text)
        return f"{PATCH}\n*** Add File: {path[0] if path else 'note.txt'}\n+{text}\n*** End Patch\n"
    if grammar.get("syntax") == "regex":
        return str(fill({"type": "string", "pattern": definition}, prompt))
    return text
