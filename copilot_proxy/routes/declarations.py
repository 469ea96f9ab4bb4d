"""Registers with the framework the routes that `direct` calls without it.

This way, the routes appear in the OpenAPI document, and other spellings of their paths work.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import get, post
from litestar.params import FromPath

from copilot_proxy.asgi import ASGIApp
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.chat_completions.response_schema import ChatCompletion, OpenAIErrorBody
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.embeddings import EmbeddingList, EmbeddingsRequest
from copilot_proxy.formats.messages import schema as messages_schema
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.models import ModelList, ModelObject
from copilot_proxy.formats.responses import schema as responses_schema
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.routes import chat_completions, embeddings, messages, models, responses
from copilot_proxy.routes.health import Health, current_health, hello
from copilot_proxy.routes.litestar_request import LitestarRequest
from copilot_proxy.routes.openapi import answers_with, documented
from copilot_proxy.routes.services import Request


def _with_types(
    handler: Callable[[Request], Awaitable[ASGIApp]],
) -> Callable[[LitestarRequest], Awaitable[ASGIApp]]:
    """Return a handler whose argument has the framework's own type, as the framework requires."""

    async def call(request: LitestarRequest) -> ASGIApp:
        return await handler(request)

    call.__name__ = handler.__name__
    call.__doc__ = handler.__doc__
    return call


_chat_completions = post(
    CHAT_COMPLETIONS.client_path,
    status_code=200,
    operation_class=documented(
        ChatCompletionRequest,
        events="Each data line is a ChatCompletionChunk; the last one is [DONE].",
    ),
    responses=answers_with(
        ChatCompletion,
        OpenAIErrorBody,
        "The completion. With `stream`, server-sent events: each is a ChatCompletionChunk, and "
        "the stream ends with `data: [DONE]`.",
    ),
    summary="Create a chat completion (OpenAI)",
)(_with_types(chat_completions.chat_completions))

_responses = post(
    RESPONSES.client_path,
    status_code=200,
    operation_class=documented(
        responses_schema.ResponsesRequest, events="The events of OpenAI's Responses API."
    ),
    responses=answers_with(
        responses_schema.Response,
        OpenAIErrorBody,
        "The response. With `stream`, the events of OpenAI's Responses API.",
    ),
    summary="Create a response (OpenAI)",
)(_with_types(responses.responses))

_count_input_tokens = post(
    RESPONSES.client_path + "/input_tokens",
    status_code=200,
    operation_class=documented(responses_schema.InputTokensRequest),
    responses=answers_with(
        responses_schema.InputTokens,
        OpenAIErrorBody,
        "An estimate of the number of input tokens; the header x-copilot-proxy-notes says so.",
    ),
    summary="Count the input tokens of a response (OpenAI)",
)(_with_types(responses.count_input_tokens))

_compact_response = post(
    RESPONSES.client_path + "/compact",
    status_code=200,
    operation_class=documented(responses_schema.CompactRequest),
    responses=answers_with(
        responses_schema.CompactedResponse, OpenAIErrorBody, "The compacted conversation."
    ),
    summary="Compact a conversation (OpenAI)",
)(_with_types(responses.compact_response))

_messages = post(
    MESSAGES.client_path,
    status_code=200,
    operation_class=documented(
        messages_schema.MessagesRequest, events="The events of Anthropic's Messages API."
    ),
    responses=answers_with(
        messages_schema.Message,
        messages_schema.AnthropicErrorBody,
        "The message. With `stream`, the events of Anthropic's Messages API.",
    ),
    summary="Create a message (Anthropic)",
)(_with_types(messages.messages))

_count_tokens = post(
    messages.COUNT_PATH,
    status_code=200,
    operation_class=documented(messages_schema.CountTokensRequest),
    responses=answers_with(
        messages_schema.TokenCount,
        messages_schema.AnthropicErrorBody,
        "The number of input tokens, as Copilot counts them. If it is an estimate, the header "
        "x-copilot-proxy-notes says so.",
    ),
    summary="Count the tokens of a message (Anthropic)",
)(_with_types(messages.count_tokens))

_embeddings = post(
    embeddings.PATH,
    status_code=200,
    operation_class=documented(EmbeddingsRequest),
    responses=answers_with(
        EmbeddingList, OpenAIErrorBody, "The vectors, in the order of the inputs."
    ),
    summary="Create embeddings (OpenAI)",
)(_with_types(embeddings.embeddings))

_list_models = get(
    models.PATH,
    operation_class=documented(),
    responses=answers_with(ModelList, OpenAIErrorBody, "Chat and embeddings models."),
    summary="List the models",
)(_with_types(models.list_models))


@get(
    models.PATH + "/{model_id:path}",
    operation_class=documented(),
    responses=answers_with(ModelObject, OpenAIErrorBody, "The model."),
    summary="Show a model",
)
async def get_model(request: LitestarRequest, model_id: FromPath[str]) -> ASGIApp:
    """Finds a model by its id or an alias. An id may contain slashes."""
    return await models.model_object(request, str(model_id).removeprefix("/"))


@get(
    "/health",
    summary="Show whether the server is up",
    response_description="The state of the server.",
)
async def health(request: LitestarRequest) -> Health:
    """Sends nothing to Copilot, needs no API key, and names no account."""
    return current_health(request)


_hello = get("/api/hello", include_in_schema=False)(_with_types(hello))

DECLARED_ROUTES: Final = (
    _chat_completions,
    _responses,
    _count_input_tokens,
    _compact_response,
    _messages,
    _count_tokens,
    _embeddings,
    _list_models,
    get_model,
    health,
    _hello,
)
