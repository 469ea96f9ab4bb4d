"""The types of Chat Completions responses, chunks and errors, for the OpenAPI page.

All paths use these errors, except those of the Anthropic, Gemini and Ollama APIs.
"""

from typing import Literal

from msgspec import Struct

from copilot_proxy.formats.chat_completions.schema import ToolCall
from copilot_proxy.formats.types import Json


class PromptTokensDetails(Struct):
    """Details of the prompt tokens."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(Struct):
    """Details of the completion tokens."""

    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class ChatUsage(Struct):
    """The token counts of one request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class AnswerMessage(Struct):
    """The assistant's message, with `reasoning_content` if the model shows its reasoning."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None


class Choice(Struct):
    """The only choice of a response."""

    index: int
    message: AnswerMessage
    finish_reason: FinishReason
    logprobs: Json | None


class ChatCompletion(Struct):
    """The response to a request without `stream`; `created` is in seconds since 1970."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


class CalledFunctionDelta(Struct):
    """`name` is sent once; the `arguments` for an index are concatenated into a single JSON
    string."""

    name: str | None = None
    arguments: str | None = None


class CalledCustomToolDelta(Struct):
    """`name` is sent once; the `input` for an index is concatenated into a single string."""

    name: str | None = None
    input: str | None = None


class ToolCallDelta(Struct):
    """`id`, `type` and the name are only sent with the first delta of a call."""

    index: int
    function: CalledFunctionDelta | None = None
    custom: CalledCustomToolDelta | None = None
    id: str | None = None
    type: Literal["function", "custom"] | None = None


class Delta(Struct):
    """The part of the message that a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None


class ChunkChoice(Struct):
    """`finish_reason` is null except in the last chunk that has a choice."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: Json | None


class ChatCompletionChunk(Struct):
    """An event of a stream; all chunks of a stream have the same `id`, `created` and `model`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


class OpenAIError(Struct):
    """`hint` says what to do next; `request_id` identifies the request in the server's log."""

    message: str
    type: str
    param: str | None
    code: str | None
    hint: str | None = None
    request_id: str | None = None


class OpenAIErrorBody(Struct):
    """The body of every error response, or an error event of a stream."""

    error: OpenAIError
