"""The types of Ollama's API, for validating requests and for the OpenAPI page.

Source: Ollama's API reference, https://docs.ollama.com/api

The types are as lenient as Ollama: unknown fields are accepted. Requests are validated against
them, but passed on as decoded JSON, so that notes can name fields that have no effect.
"""

from typing import Any, Literal

from msgspec import Struct, field

from copilot_proxy.formats.types import Json


class OllamaFunctionCall(Struct):
    """The called function; `arguments` is an object, or the object's JSON as text.

    Anything else is accepted and repaired, because a model may have produced it.
    """

    name: str
    arguments: Any = None


class OllamaToolCall(Struct):
    """A call in an earlier answer; clients may leave out the `id`."""

    function: OllamaFunctionCall
    id: str | None = None


class OllamaMessage(Struct):
    """A message; `images` are base64, without a ``data:`` prefix.

    A ``tool`` message is the result of the call with the id `tool_call_id`. Without an id, it is
    the result of the first open call to the tool `tool_name`.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[OllamaToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaFunction(Struct):
    """A function; `parameters` is a JSON schema of type ``object``."""

    name: str
    description: str | None = None
    parameters: Json | None = None


class OllamaTool(Struct):
    """A tool that the client runs."""

    function: OllamaFunction
    type: str | None = None


class OllamaOptions(Struct):
    """The options that have an effect; all others are accepted."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class OllamaChatRequest(Struct):
    """The body of ``POST /api/chat``; `stream` is true unless it is set to false.

    `format` is ``json`` or a JSON schema. Without messages, the answer says that the model is
    loaded, and nothing is sent to Copilot.
    """

    model: str
    messages: list[OllamaMessage] | None = None
    tools: list[OllamaTool] | None = None
    format: str | Json | None = None
    options: OllamaOptions | None = None
    think: bool | str | None = None
    stream: bool | None = None
    keep_alive: float | str | None = None


class OllamaGenerateRequest(Struct):
    """The body of ``POST /api/generate``; without a prompt, nothing is sent to Copilot."""

    model: str
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None
    format: str | Json | None = None
    options: OllamaOptions | None = None
    think: bool | str | None = None
    stream: bool | None = None
    keep_alive: float | str | None = None


class OllamaShowRequest(Struct):
    """The body of ``POST /api/show``; `name` is an older name for `model`."""

    model: str | None = None
    name: str | None = None


class OllamaEmbedRequest(Struct):
    """The body of ``POST /api/embed``."""

    model: str
    input: str | list[str] | None = None
    dimensions: int | None = None


class OllamaEmbeddingsRequest(Struct):
    """The body of ``POST /api/embeddings``, the older form of ``/api/embed`` for one string."""

    model: str
    prompt: str | None = None


class OllamaAnswer(Struct, kw_only=True):
    """The fields of all lines of an answer; only the last line has the counts and durations.

    Durations are in nanoseconds.
    """

    model: str
    created_at: str
    done: bool
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class OllamaChatAnswer(OllamaAnswer, kw_only=True):
    """The response of ``/api/chat``, or a line of its stream."""

    message: OllamaMessage


class OllamaGenerateAnswer(OllamaAnswer, kw_only=True):
    """The response of ``/api/generate``, or a line of its stream."""

    response: str
    thinking: str | None = None


class OllamaDetails(Struct):
    """Ollama's details about a model's files; here, only its family."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class OllamaModel(Struct):
    """A model in the list; `remote_model` is Copilot's id."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails
    remote_model: str
    remote_host: str


class OllamaModelList(Struct):
    """The response of ``/api/tags``."""

    models: list[OllamaModel]


class OllamaModelInfo(Struct):
    """The response of ``/api/show``; `capabilities` are ``completion``, ``tools``, ``vision``,
    ``thinking`` and ``embedding``."""

    license: str
    modelfile: str
    parameters: str
    template: str
    details: OllamaDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str
    remote_model: str
    remote_host: str


class OllamaEmbedAnswer(Struct):
    """The response of ``/api/embed``; durations are in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class OllamaEmbeddingsAnswer(Struct):
    """The response of ``/api/embeddings``."""

    embedding: list[float]


class OllamaErrorBody(Struct):
    """The body of every error response, or the last line of a failed stream."""

    error: str
    code: str | None = None
    request_id: str | None = field(default=None)
