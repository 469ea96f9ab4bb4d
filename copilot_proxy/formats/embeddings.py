"""Converts embeddings requests and responses between OpenAI's format and Copilot's.

Copilot only accepts strings, limits their number, and returns vectors as floats in any order.
Source of the formats: https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import BrokenResponse, RequestError
from copilot_proxy.formats.client_api import RequestMetrics
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.types import ClientRequest, ClientResponse, Json, UpstreamBody
from copilot_proxy.formats.upstream_errors import parse_error_event

MAX_INPUTS: Final = 2048
"""OpenAI's limit on the number of inputs in a request."""

MAX_TOKENS: Final = 300_000
"""OpenAI's limit on the total number of tokens in a request."""

_BATCH: Final = 512
"""Inputs per request to Copilot, for models without a limit in the catalogue."""

_NOT_NUMBERS: Final = "Copilot sent an embedding that is not a list of numbers."


class EmbeddingsRequest(Struct):
    """The body of ``POST /v1/embeddings``; `input` is one or more strings, or their token ids."""

    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class Embedding(Struct):
    """A vector: a list of floats, or base64 of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Struct):
    """The number of tokens in all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    """The response, in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


def metrics(request: ClientRequest) -> RequestMetrics:
    """Return the number of inputs of a valid request; a list of token ids counts as one."""
    value = request["input"]
    is_single = not isinstance(value, list) or (value and isinstance(value[0], int))
    return RequestMetrics(items=1 if is_single else len(value), noun="input")


def parse_request(body: bytes) -> ClientRequest:
    """Decode and validate a request. Raises `RequestError`."""
    request = parse_object(body, MAX_TOKENS + 2 * MAX_INPUTS)
    check_request(request)
    return request


def check_request(request: ClientRequest) -> None:
    """Raise `RequestError` if the request is invalid."""
    check_shape(request, EmbeddingsRequest)
    value = request["input"]
    if not value:
        raise RequestError("The input is empty.", param="input", code="invalid_value")
    if isinstance(value, list):
        if [] in value:
            raise RequestError(
                "A list of token ids is empty.",
                param=f"input[{value.index([])}]",
                code="invalid_value",
            )
        types = {type(item) for item in value}
        if len(types) > 1:
            raise RequestError(
                "Strings and token ids cannot be mixed in one input.",
                param="input",
                code="invalid_type",
            )
        if types != {int} and len(value) > MAX_INPUTS:
            raise RequestError(
                f"The request has {len(value)} inputs; at most {MAX_INPUTS} are allowed.",
                param="input",
                code="array_above_max_length",
            )
    tokens = sum(map(len, value)) if has_tokens(request) and isinstance(value[0], list) else 0
    if tokens > MAX_TOKENS:
        raise RequestError(
            f"The inputs have {tokens} tokens; at most {MAX_TOKENS} are allowed in one request.",
            param="input",
            code="max_tokens_per_request",
        )
    dimensions = request.get("dimensions")
    if dimensions is not None and dimensions < 1:
        raise RequestError(
            "dimensions must be greater than 0.", param="dimensions", code="invalid_value"
        )


def has_tokens(request: ClientRequest) -> bool:
    """Return whether the input is token ids rather than text."""
    value = request["input"]
    return isinstance(value, list) and not isinstance(value[0], str)


def texts(request: ClientRequest, decode: Callable[[list[int]], str]) -> list[str]:
    """Return the inputs as strings, using `decode` to convert token ids."""
    value = request["input"]
    if isinstance(value, str):
        return [value]
    if isinstance(value[0], int):
        return [decode(value)]
    return [item if isinstance(item, str) else decode(item) for item in value]


def batches(inputs: Sequence[str], model: Model | None) -> list[list[str]]:
    """Split the inputs into batches that the model accepts in a single request."""
    size = (model.limit("max_inputs") if model is not None else None) or _BATCH
    return [list(inputs[i : i + size]) for i in range(0, len(inputs), size)]


def upstream_body(request: ClientRequest, inputs: list[str], model: Model | None) -> UpstreamBody:
    """Return the body of a request to Copilot for one batch of `inputs`."""
    body: UpstreamBody = {"model": model.id if model else request["model"], "input": inputs}
    if request.get("dimensions") is not None:
        body["dimensions"] = request["dimensions"]
    return body


def vectors(response: object, expected: int) -> list[list[float]]:
    """Return the vectors of a batch in the order of its inputs. Raises `UpstreamError`."""
    if isinstance(response, dict) and response.get("error"):
        raise parse_error_event(response)
    data = response.get("data") if isinstance(response, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise BrokenResponse("Copilot's response contains no embeddings.", hint="Try again.")
    ordered = sorted(enumerate(data), key=lambda pair: _index(pair[1], pair[0]))
    embeddings = [item.get("embedding") for _, item in ordered]
    if len(embeddings) != expected:
        raise BrokenResponse(
            f"Copilot sent the wrong number of embeddings: {len(embeddings)} instead of "
            f"{expected}.",
            hint="Try again.",
        )
    if not all(isinstance(one, list) for one in embeddings):
        raise BrokenResponse(_NOT_NUMBERS, hint="Try again.")
    return embeddings


def usage(responses: Sequence[Any]) -> Json:
    """Return the total usage of the responses to all batches."""
    total = sum(
        counts.get("prompt_tokens") or counts.get("total_tokens") or 0
        for response in responses
        if isinstance(counts := response.get("usage"), dict)
    )
    return {"prompt_tokens": total, "total_tokens": total}


def embedding_list(
    request: ClientRequest, embeddings: Sequence[list[float]], counts: Json
) -> ClientResponse:
    """Return the client's response, in the encoding that it requested."""
    encode = _base64 if request.get("encoding_format") == "base64" else list
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(embeddings)
        ],
        "model": request["model"],
        "usage": counts,
    }


def _index(item: Json, position: int) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else position


def _base64(vector: list[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError):
        raise BrokenResponse(_NOT_NUMBERS) from None
