"""The types of the Completions API, for validating requests and for the OpenAPI page."""

from typing import Literal

from msgspec import Struct

from copilot_proxy.formats.chat_completions.response_schema import ChatUsage
from copilot_proxy.formats.chat_completions.schema import StreamOptions


class CompletionsRequest(Struct):
    """The body of ``POST /v1/completions``; `prompt` is one or more strings, or their token ids."""

    model: str
    prompt: str | list[str | int | list[int]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    echo: bool | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    user: str | None = None


class CompletionChoice(Struct):
    """A continuation, or a part of it in a stream; `index` numbers the continuations across
    all prompts."""

    index: int
    text: str
    finish_reason: Literal["stop", "length", "content_filter"] | None
    logprobs: None


class Completion(Struct):
    """The response, or an event of a stream; `created` is in seconds since 1970."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChatUsage | None = None
    system_fingerprint: str | None = None
