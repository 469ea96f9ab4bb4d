"""The types of the Responses API, for validating requests and for the OpenAPI page.

Requests are validated against these types, but passed on as decoded JSON. Unknown fields and
unknown types of items and tools are allowed; known fields must have the right type.
"""

from typing import Literal

from msgspec import Struct

from copilot_proxy.formats.types import Json


class InputItem(Struct):
    """A message, a call, its output, or reasoning, depending on `type`; without a `type`, a
    message.

    An ``item_reference`` refers to the remembered item with the same `id`. The parts of `content`
    and `output` are ``input_text``, ``input_image`` (a ``data:`` URL), ``input_file`` (with
    `file_data` and `filename`), ``output_text`` and ``refusal``.
    """

    type: str | None = None
    role: str | None = None
    content: str | list[Json] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | Json | None = None
    input: str | None = None
    output: str | list[Json] | Json | None = None
    summary: list[Json] | None = None
    encrypted_content: str | None = None
    id: str | None = None


class ResponsesTool(Struct):
    """A ``function``, a ``custom`` tool or a ``namespace`` of them; no others are supported."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None
    format: Json | None = None
    tools: list[Json] | None = None


class AllowedTool(Struct):
    """One of the tools that the model may call."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None


class ToolChoice(Struct):
    """A tool that the model must call, or a list of ``allowed_tools``."""

    type: str | None = None
    name: str | None = None
    mode: str | None = None
    tools: list[AllowedTool] | None = None


class Reasoning(Struct):
    """How much the model reasons, and whether it returns a summary of its reasoning."""

    effort: str | None = None
    summary: str | None = None


class TextFormat(Struct):
    """``text``, ``json_object``, or ``json_schema`` with a name and a schema."""

    type: str
    name: str | None = None
    schema: Json | None = None
    strict: bool | None = None
    description: str | None = None


class TextConfig(Struct):
    """The format of the response's text."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ConfigurationUpdate(Struct):
    """An input item that changes settings for the rest of the conversation."""

    reasoning: Reasoning | None = None
    text: TextConfig | None = None


class ResponsesRequest(Struct):
    """The body of ``POST /v1/responses``.

    With `previous_response_id`, `input` continues a response that the server remembers; without it,
    `input` is the whole conversation. `max_output_tokens` includes reasoning.
    """

    model: str
    input: str | list[InputItem]
    instructions: str | None = None
    stream: bool | None = None
    tools: list[ResponsesTool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    include: list[str] | None = None
    truncation: str | None = None
    context_management: list[Json] | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    metadata: Json | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Json | None = None
    user: str | None = None


class InputTokensRequest(Struct):
    """The body of ``POST /v1/responses/input_tokens``; `model` defaults to ``default``."""

    model: str | None = None
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[ResponsesTool] | None = None
    text: TextConfig | None = None


class CompactRequest(Struct):
    """The body of ``POST /v1/responses/compact``."""

    model: str
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[ResponsesTool] | None = None
    reasoning: Reasoning | None = None
    prompt_cache_key: str | None = None


class OutputItem(Struct):
    """A message, reasoning, or a call to a function or custom tool, depending on `type`."""

    type: str
    id: str | None = None
    status: str | None = None
    role: Literal["assistant"] | None = None
    content: list[Json] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    summary: list[Json] | None = None
    encrypted_content: str | None = None


class InputTokensDetails(Struct):
    """Details of the input tokens."""

    cached_tokens: int


class OutputTokensDetails(Struct):
    """Details of the output tokens."""

    reasoning_tokens: int


class ResponsesUsage(Struct):
    """Token counts of one request; output tokens include reasoning."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(Struct):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(Struct):
    """Why a response ended early: ``max_output_tokens`` or ``content_filter``."""

    reason: str


class Response(Struct):
    """The response to a request without `stream`, and the `response` of a stream's final event.

    `created_at` is in seconds since 1970.
    """

    id: str
    object: Literal["response"]
    created_at: float
    status: str
    model: str
    output: list[OutputItem]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | list[Json] | None
    metadata: Json | None
    parallel_tool_calls: bool
    temperature: float | None
    top_p: float | None
    tool_choice: str | Json
    tools: list[ResponsesTool]
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    reasoning: Reasoning | None = None
    store: bool | None = None
    text: TextConfig | None = None
    truncation: str | None = None
    usage: ResponsesUsage | None = None


class ListedItem(Struct):
    """An input or output item."""

    id: str
    type: str


class ItemList(Struct):
    """A page of the items that a response was made from."""

    object: Literal["list"]
    data: list[ListedItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(Struct):
    """The answer to ``DELETE /v1/responses/{id}``."""

    id: str
    object: Literal["response"]
    deleted: bool


class InputTokens(Struct):
    """The number of input tokens of a request."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class CompactedResponse(Struct):
    """A compacted conversation: the user's messages, and an item with a summary of the rest."""

    id: str
    object: Literal["response.compaction"]
    created_at: float
    output: list[ListedItem]
    usage: ResponsesUsage
