"""The types of Chat Completions requests, for validating them and for the OpenAPI page.

Requests are validated against these types but passed on as decoded JSON, so that unknown fields are
preserved. Unset optional fields may be null, as OpenAI's SDKs send them.
"""

from typing import Literal

from msgspec import Struct

from copilot_proxy.formats.types import Json


class TextPart(Struct, tag_field="type", tag="text"):
    """Text."""

    text: str


class ImageUrl(Struct):
    """`url` is a base64 ``data:`` URL; Copilot does not fetch other URLs."""

    url: str
    detail: str | None = None


class ImagePart(Struct, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageUrl | str


class AudioPart(Struct, tag_field="type", tag="input_audio"):
    """Audio, which no Copilot model accepts."""

    input_audio: Json


class FilePart(Struct, tag_field="type", tag="file"):
    """A file, for models that accept PDFs; the text of any other file is inserted.

    `file` contains `file_data`, which is base64 or a base64 ``data:`` URL, and usually `filename`.
    """

    file: Json


class RefusalPart(Struct, tag_field="type", tag="refusal"):
    """An earlier refusal by the assistant."""

    refusal: str


ContentPart = TextPart | ImagePart | AudioPart | FilePart | RefusalPart
Content = str | list[ContentPart]


class CalledFunction(Struct):
    """`arguments` is the JSON text that the model wrote."""

    name: str
    arguments: str | None = None


class CalledCustomTool(Struct):
    """`input` is the text that the model wrote."""

    name: str
    input: str


class ToolCall(Struct):
    """A tool call by the assistant: to a `function` or a `custom` tool."""

    id: str
    function: CalledFunction | None = None
    custom: CalledCustomTool | None = None
    type: str = "function"


class SystemMessage(Struct, tag_field="role", tag="system"):
    """Instructions."""

    content: Content
    name: str | None = None


class DeveloperMessage(Struct, tag_field="role", tag="developer"):
    """Instructions; sent to Copilot as a system message."""

    content: Content
    name: str | None = None


class UserMessage(Struct, tag_field="role", tag="user"):
    """A user message."""

    content: Content
    name: str | None = None


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    """An earlier message from the model, with its reasoning fields sent back unchanged."""

    content: Content | None = None
    tool_calls: list[ToolCall] | None = None
    refusal: str | None = None
    name: str | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None


class ToolMessage(Struct, tag_field="role", tag="tool"):
    """The result of a tool call.

    Its parts may have any type: Copilot CLI sends ``{"type": "tool_reference", "tool_name"}``.
    """

    content: str | list[Json]
    tool_call_id: str


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class FunctionDefinition(Struct):
    """`parameters` is a JSON schema of type ``object``."""

    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class CustomToolDefinition(Struct):
    """`format` is ``{"type": "text"}``, or a grammar: ``{"type": "grammar", "grammar": {...}}``."""

    name: str
    description: str | None = None
    format: Json | None = None


class ChatTool(Struct):
    """A `function`, or a `custom` tool whose input is plain text."""

    function: FunctionDefinition | None = None
    custom: CustomToolDefinition | None = None
    type: Literal["function", "custom"] = "function"


class StreamOptions(Struct):
    """With `include_usage`, the usage is sent in a final chunk without choices."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ResponseFormat(Struct):
    """``text``, ``json_object``, or ``json_schema`` with a schema."""

    type: str
    json_schema: Json | None = None


class ChatCompletionRequest(Struct):
    """The body of ``POST /v1/chat/completions``; other fields of OpenAI's schema are passed on."""

    model: str
    messages: list[ChatMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    tools: list[ChatTool] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    thinking_budget: int | None = None
    """A Copilot extension: the number of tokens that Claude and Gemini may use for thinking."""
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    prediction: Json | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Json | None = None
    user: str | None = None
