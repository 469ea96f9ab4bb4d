"""The parts of a request that determine the reply, and the reply itself, for any API."""

from __future__ import annotations

from dataclasses import dataclass, field

from .types import Json, OfferedTool, Schema


@dataclass(frozen=True)
class Tool:
    """A tool that the client offers."""

    name: str
    schema: Schema = field(default_factory=dict)
    custom: bool = False
    """Whether the tool's input is free text instead of JSON."""
    grammar: Json | None = None
    """The grammar that the input must match: ``{"syntax": "lark"|"regex", "definition"}``."""
    namespace: str | None = None
    """The name of the group that the tool belongs to."""
    deferred: bool = False
    """Whether the model sees the tool only after a search."""
    definition: OfferedTool = field(default_factory=dict)
    """The request's definition of the tool, or of the group it belongs to."""


@dataclass(frozen=True)
class Search:
    """The client's offer to let the model search for deferred tools."""

    client: bool = False
    """Whether the client runs the search."""
    schema: Schema = field(default_factory=dict)
    """The schema of the arguments, if the client runs the search."""


@dataclass
class Conversation:
    """The parts of a request that determine the reply, independent of the API."""

    model: str
    user: str = ""
    """The text of the last user message."""
    results: list[tuple[str, str]] = field(default_factory=list)
    """(name, result) for each tool that was run since the last assistant message."""
    tools: list[Tool] = field(default_factory=list)
    search: Search | None = None
    """Set if the model may search for deferred tools."""
    forced: str | None = None
    """``none``, ``required``, or the name of a tool; None lets the model choose."""
    parallel: bool = True
    images: int = 0
    documents: int = 0
    schema: Schema | None = None
    """The JSON schema of the answer; an empty schema allows any object."""
    limit: int | None = None
    """The maximum number of tokens in the answer."""
    stop: list[str] = field(default_factory=list)
    reasons: bool = False
    talks: bool = True
    """Whether the model writes some text before it calls a tool."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0


@dataclass
class ToolCall:
    """A tool call in the model's reply."""

    name: str
    arguments: str
    """JSON text or, for a custom tool, the input. The token limit may have cut it off."""
    custom: bool = False
    namespace: str | None = None


@dataclass
class ToolSearch:
    """A search for tools and, if the server ran it, the tools that were found."""

    client: bool
    arguments: Json
    found: list[OfferedTool] = field(default_factory=list)


@dataclass
class Reply:
    """The model's reply and its token counts."""

    text: str = ""
    search: ToolSearch | None = None
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: str = ""
    finish: str = "stop"
    """``stop``, ``length``, ``tool_calls`` or ``refusal``, as in chat completions."""
    stop_sequence: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    completion_tokens: int = 0
    """The number of tokens in the answer, without the reasoning."""
    reasoning_tokens: int = 0
