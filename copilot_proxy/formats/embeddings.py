"""OpenAI's embeddings to Copilot's and back.

Copilot takes lists of texts only, a limited number at once, and answers with floats, in any order.
Source of the shapes: https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import BrokenResponse, RequestError
from copilot_proxy.formats.api import RequestMetrics
from copilot_proxy.formats.chat_completions.request import check_shape, parse_object
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.upstream_errors import event_refusal

PATH: Final = "/embeddings"
"""Of Copilot's."""

MAX_INPUTS: Final = 2048
"""Inputs that OpenAI allows in one request."""

_BATCH: Final = 512
"""Inputs in one call to Copilot, for a model whose entry names no limit."""


class EmbeddingsRequest(Struct):
    """The body of ``POST /v1/embeddings``; `input` holds texts, or texts as token ids."""

    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class Embedding(Struct):
    """One vector; with base64 it is a text of 32-bit floats, least significant byte first."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Struct):
    """Tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    """The answer, in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


def metrics(request: Json) -> RequestMetrics:
    """How many inputs a checked request has; a list of token ids is a single one."""
    given = request["input"]
    is_one = not isinstance(given, list) or (given and isinstance(given[0], int))
    return RequestMetrics(items=1 if is_one else len(given))


def parse_request(body: bytes) -> Json:
    """The decoded request; raises `RequestError`."""
    request = parse_object(body)
    check_shape(request, EmbeddingsRequest)
    given = request["input"]
    if not given:
        raise RequestError("The input is empty.", param="input", code="invalid_value")
    if isinstance(given, list):
        kinds = {type(one) for one in given}
        if len(kinds) > 1:
            raise RequestError(
                "Texts and token ids cannot be mixed in one input.",
                param="input",
                code="invalid_type",
            )
        if kinds != {int} and len(given) > MAX_INPUTS:
            raise RequestError(
                f"At most {MAX_INPUTS} inputs are allowed, and the request has {len(given)}.",
                param="input",
                code="array_above_max_length",
            )
    dimensions = request.get("dimensions")
    if dimensions is not None and dimensions < 1:
        raise RequestError("It must be above 0.", param="dimensions", code="invalid_value")
    return request


def has_tokens(request: Json) -> bool:
    """Whether the input is token ids."""
    given = request["input"]
    return isinstance(given, list) and not isinstance(given[0], str)


def texts(request: Json, decode: Callable[[list[int]], str]) -> list[str]:
    """The inputs as texts; `decode` makes a text of token ids."""
    given = request["input"]
    if isinstance(given, str):
        return [given]
    if isinstance(given[0], int):
        return [decode(given)]
    return [one if isinstance(one, str) else decode(one) for one in given]


def batches(inputs: Sequence[str], model: Model | None) -> list[list[str]]:
    """The inputs in groups that the model takes in one call."""
    size = (model.limit("max_inputs") if model is not None else None) or _BATCH
    return [list(inputs[i : i + size]) for i in range(0, len(inputs), size)]


def upstream_body(request: Json, inputs: list[str], model: Model | None) -> Json:
    """The body for Copilot, for one batch."""
    body: Json = {"model": model.id if model else request["model"], "input": inputs}
    if request.get("dimensions") is not None:
        body["dimensions"] = request["dimensions"]
    return body


def vectors(answer: object, expected: int) -> list[list[float]]:
    """The vectors of one batch in the order of its inputs; raises `UpstreamError`."""
    if isinstance(answer, dict) and answer.get("error"):
        raise event_refusal(answer)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise BrokenResponse("Copilot's answer holds no embeddings.", hint="Try again.")
    ordered = sorted(enumerate(data), key=lambda pair: _index(pair[1], pair[0]))
    found = [one.get("embedding") for _, one in ordered]
    if len(found) != expected or not all(isinstance(vector, list) for vector in found):
        raise BrokenResponse(
            f"Copilot sent {len(found)} embeddings for {expected} inputs.", hint="Try again."
        )
    return found


def usage(answers: Sequence[Any]) -> Json:
    """The counts of all batches together."""
    total = sum(
        counts.get("prompt_tokens") or counts.get("total_tokens") or 0
        for answer in answers
        if isinstance(counts := answer.get("usage"), dict)
    )
    return {"prompt_tokens": total, "total_tokens": total}


def embedding_list(request: Json, found: Sequence[list[float]], counts: Json) -> Json:
    """The answer to the client, in the encoding that it asked for."""
    encode = _base64 if request.get("encoding_format") == "base64" else list
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(found)
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
        raise BrokenResponse("Copilot sent an embedding that is not made of numbers.") from None
