"""Converts Ollama's two forms of embeddings requests to OpenAI's format, and the answers back."""

from typing import Any

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.embeddings import check_request
from copilot_proxy.formats.ollama.schema import OllamaEmbeddingsRequest, OllamaEmbedRequest
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.types import ClientRequest, ClientResponse


def parse_embed(body: bytes) -> ClientRequest:
    """Return a request to ``/api/embed`` in OpenAI's format. Raises `RequestError`.

    The result's input is an empty list if there is nothing to embed.
    """
    request = parse_object(body)
    check_shape(request, OllamaEmbedRequest)
    value = request.get("input") or []
    return _checked(request, [value] if isinstance(value, str) else value)


def parse_embeddings(body: bytes) -> ClientRequest:
    """Return a request to ``/api/embeddings`` in OpenAI's format. Raises `RequestError`.

    The result's input is an empty list if there is nothing to embed.
    """
    request = parse_object(body)
    check_shape(request, OllamaEmbeddingsRequest)
    prompt = request.get("prompt")
    return _checked(request, [prompt] if prompt else [])


def embed_answer(response: ClientResponse, duration: int) -> ClientResponse:
    """Return the answer to ``/api/embed``; `duration` is in nanoseconds."""
    return {
        "model": response["model"],
        "embeddings": [one["embedding"] for one in response["data"]],
        "total_duration": duration,
        "load_duration": 0,
        "prompt_eval_count": response["usage"]["prompt_tokens"],
    }


def embeddings_answer(response: ClientResponse) -> ClientResponse:
    """Return the answer to ``/api/embeddings``."""
    return {"embedding": response["data"][0]["embedding"] if response["data"] else []}


def _checked(request: ClientRequest, texts: list[str]) -> ClientRequest:
    if not request["model"]:
        raise RequestError("The model name is empty.", param="model")
    openai: dict[str, Any] = {"model": request["model"], "input": texts}
    if request.get("dimensions"):
        openai["dimensions"] = request["dimensions"]
    if texts:
        check_request(openai)
    return openai
