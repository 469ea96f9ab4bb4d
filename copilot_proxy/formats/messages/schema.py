"""The types of the Messages API, for validating requests and for the OpenAPI page.

Source: Anthropic's Messages API reference, https://platform.claude.com/docs/en/api/messages

These structs are lenient: unknown types of blocks and tools are accepted. Requests are validated
against the structs, but passed on as decoded JSON, so that unknown fields are preserved.
"""

from typing import Any, Literal

from msgspec import Struct

from copilot_proxy.formats.types import Json


class CacheControl(Struct):
    """A mark that puts the prompt, up to and including this block, into the cache."""

    type: str
    ttl: str | None = None


class Block(Struct):
    """A block of content; `type` determines which of the other fields it has.

    ``text`` has `text`; ``image`` and ``document`` have `source`; ``tool_use`` has `id`, `name` and
    `input`; ``tool_result`` has `tool_use_id` and `content` (a string or blocks); ``thinking`` has
    `thinking` and `signature`; ``redacted_thinking`` has `data`. An `input` that is not an object
    is accepted and repaired, because a model may have produced it, and the conversation must go on.
    """

    type: str
    text: str | None = None
    source: Json | str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    content: Any = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: CacheControl | None = None


class OutputConfig(Struct):
    """The model's effort (`effort`), and the schema of its answer (`format`)."""

    effort: str | None = None
    format: Json | None = None


class MessageParam(Struct):
    """A message; a ``system`` message is an instruction in the middle of a conversation.

    Only a ``system`` message has `output_config`, which changes the effort from there on.
    """

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]
    output_config: OutputConfig | None = None


class MessagesTool(Struct):
    """A client's tool with `input_schema`, or one of Anthropic's tools with a dated `type`."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Json | None = None
    cache_control: CacheControl | None = None


class ToolChoice(Struct):
    """``auto``, ``any``, ``none``, or ``tool`` with a `name`."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct):
    """``enabled`` with `budget_tokens`, ``adaptive``, or ``disabled``."""

    type: str
    budget_tokens: int | None = None


class CountTokensRequest(Struct):
    """The body of ``POST /v1/messages/count_tokens``."""

    model: str
    messages: list[MessageParam]
    system: str | list[Block] | None = None
    tools: list[MessagesTool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    context_management: Json | None = None


class MessagesRequest(Struct):
    """The body of ``POST /v1/messages``."""

    model: str
    messages: list[MessageParam]
    max_tokens: int
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[MessagesTool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    context_management: Json | None = None
    metadata: Json | None = None


class MessagesUsage(Struct):
    """The token counts of a request; `input_tokens` excludes tokens read from or written to the
    cache."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class Message(Struct):
    """The response to a request without `stream`."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessagesUsage


class TokenCount(Struct):
    """The response to ``POST /v1/messages/count_tokens``."""

    input_tokens: int


class AnthropicError(Struct):
    """An error; `type` is one of Anthropic's error types, and `hint` says what to do next."""

    type: str
    message: str
    hint: str | None = None


class AnthropicErrorBody(Struct):
    """The body of an error response, or an event of a stream; `request_id` is also in the log."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str


class ModelInfo(Struct):
    """A model. Limits are in tokens; `created_at` is the epoch, since Copilot's list has no dates.

    `lifecycle` is ``deprecated`` if GitHub has announced that the model will be retired;
    `retires_at` is the time, if known.
    """

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active", "deprecated"]
    retires_at: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
