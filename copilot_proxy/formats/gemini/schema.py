"""The types of the Gemini API, for validating requests and for the OpenAPI page.

Requests are checked against these structs, but passed on as the decoded JSON.
"""

from typing import Any

from msgspec import Struct

from copilot_proxy.formats.types import Json


class GeminiBlob(Struct, rename="camel"):
    """The data of an image or file, in base64."""

    mime_type: str
    data: str
    display_name: str | None = None


class GeminiFunctionCall(Struct):
    """A function call. Older Gemini models send no `id`.

    `args` that are not an object are accepted and repaired, because a model may have produced them.
    """

    name: str
    args: Any = None
    id: str | None = None


class GeminiFunctionResponsePart(Struct, rename="camel"):
    """An image or file in the result of a function."""

    inline_data: GeminiBlob | None = None
    file_data: Json | None = None


class GeminiFunctionResponse(Struct):
    """The result of a call: ``{"output": ...}``, ``{"error": ...}`` or any other object."""

    name: str
    response: Any = None
    id: str | None = None
    parts: list[GeminiFunctionResponsePart] | None = None


class GeminiPart(Struct, rename="camel"):
    """A part of a `Content`, with one of these fields, and possibly `thought_signature`.

    A `text` with `thought` is reasoning. Parts from Google's own tools (`executable_code`,
    `code_execution_result`) are treated as text.
    """

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: GeminiBlob | None = None
    file_data: Json | None = None
    function_call: GeminiFunctionCall | None = None
    function_response: GeminiFunctionResponse | None = None
    executable_code: Json | None = None
    code_execution_result: Json | None = None


class GeminiContent(Struct):
    """A turn of the conversation; its `role` is ``user`` (the default) or ``model``."""

    parts: list[GeminiPart] | None = None
    role: str | None = None


class GeminiFunctionDeclaration(Struct, rename="camel"):
    """A function. `parameters` is a Google schema, `parameters_json_schema` a JSON schema."""

    name: str
    description: str | None = None
    parameters: Json | None = None
    parameters_json_schema: Json | None = None


class GeminiTool(Struct, rename="camel"):
    """The client's functions. Copilot does not have Google's own tools."""

    function_declarations: list[GeminiFunctionDeclaration] | None = None


class GeminiFunctionCallingConfig(Struct, rename="camel"):
    """`mode` is ``AUTO``, ``ANY``, ``NONE`` or ``VALIDATED``."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class GeminiToolConfig(Struct, rename="camel"):
    """The functions that the model may or must call."""

    function_calling_config: GeminiFunctionCallingConfig | None = None


class GeminiThinkingConfig(Struct, rename="camel"):
    """How much the model thinks: a budget in tokens (0: no thinking, -1: the model decides), or a
    level such as ``HIGH``."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GeminiGenerationConfig(Struct, rename="camel"):
    """The parameters for generating the answer."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: Json | None = None
    response_json_schema: Json | bool | None = None
    response_modalities: list[str] | None = None
    thinking_config: GeminiThinkingConfig | None = None


class GenerateContentRequest(Struct, rename="camel"):
    """The body of ``:generateContent`` and ``:streamGenerateContent``.

    The model is in the path. Names may be written in camelCase or in snake_case.
    """

    contents: list[GeminiContent]
    system_instruction: GeminiContent | None = None
    tools: list[GeminiTool] | None = None
    tool_config: GeminiToolConfig | None = None
    generation_config: GeminiGenerationConfig | None = None
    safety_settings: list[Json] | None = None


class GeminiCountTokensRequest(Struct, rename="camel"):
    """The body of ``:countTokens``: contents, or a whole request."""

    contents: list[GeminiContent] | None = None
    generate_content_request: GenerateContentRequest | None = None


class GeminiEmbedContentRequest(Struct, rename="camel"):
    """The body of ``:embedContent``; all text is embedded as one string."""

    content: GeminiContent
    model: str | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class GeminiBatchEmbedContentsRequest(Struct):
    """The body of ``:batchEmbedContents``."""

    requests: list[GeminiEmbedContentRequest]


class GeminiCandidate(Struct, rename="camel"):
    """The answer, or the next part of it. Only the last part has a `finish_reason`."""

    content: GeminiContent
    index: int
    finish_reason: str | None = None
    finish_message: str | None = None


class GeminiUsage(Struct, rename="camel"):
    """Token counts. `prompt_token_count` includes cached tokens, and `candidates_token_count`
    excludes thoughts."""

    prompt_token_count: int
    candidates_token_count: int
    total_token_count: int
    cached_content_token_count: int | None = None
    thoughts_token_count: int | None = None


class GenerateContentResponse(Struct, rename="camel"):
    """An answer, or an event of a stream."""

    candidates: list[GeminiCandidate]
    model_version: str
    response_id: str
    usage_metadata: GeminiUsage | None = None


class GeminiTokenCount(Struct, rename="camel"):
    """The number of tokens in a request."""

    total_tokens: int


class GeminiEmbedding(Struct):
    """A vector."""

    values: list[float]


class GeminiEmbedContentResponse(Struct):
    """The answer to ``:embedContent``."""

    embedding: GeminiEmbedding


class GeminiModel(Struct, rename="camel"):
    """A model; its `name` starts with ``models/``."""

    name: str
    version: str
    display_name: str
    supported_generation_methods: list[str]
    input_token_limit: int | None = None
    output_token_limit: int | None = None


class GeminiModelList(Struct):
    """The models of the account, on a single page."""

    models: list[GeminiModel]


class GoogleError(Struct):
    """An error; `status` is the name of a gRPC code, such as ``INVALID_ARGUMENT``."""

    code: int
    message: str
    status: str
    details: list[Json]


class GoogleErrorBody(Struct):
    """Google's error format."""

    error: GoogleError
