"""Converts embedding requests and vectors between Google's format and OpenAI's."""

from typing import Any

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.embeddings import check_request
from copilot_proxy.formats.gemini import schema
from copilot_proxy.formats.gemini.field_names import with_google_names
from copilot_proxy.formats.gemini.request import model_name
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.types import ClientRequest, ClientResponse, Json

_HARMLESS = ("TASK_TYPE_UNSPECIFIED", None)


def parse_embed(body: bytes, model: str, notes: list[str]) -> Json:
    """Return an OpenAI embeddings request for the body of ``:embedContent``. Raises
    `RequestError`."""
    request = with_google_names(parse_object(body))
    request = {**(request.get("embedContentConfig") or {}), **request}
    check_shape(request, schema.GeminiEmbedContentRequest)
    return _request([request], [""], model, notes)


def parse_batch(body: bytes, model: str, notes: list[str]) -> Json:
    """Return an OpenAI embeddings request for the body of ``:batchEmbedContents``. Raises
    `RequestError`."""
    batch = with_google_names(parse_object(body))
    check_shape(batch, schema.GeminiBatchEmbedContentsRequest)
    requests: list[Json] = batch["requests"]
    requests = [{**(one.get("embedContentConfig") or {}), **one} for one in requests]
    wanted = model_name(model)
    for i, one in enumerate(requests):
        if one.get("model") and model_name(one["model"]) != wanted:
            raise RequestError(
                "All requests in a batch must be for the model in the path.",
                param=f"requests[{i}].model",
                code="invalid_value",
            )
    return _request(requests, [f"requests[{i}]." for i in range(len(requests))], model, notes)


def _request(requests: list[Json], paths: list[str], model: str, notes: list[str]) -> Json:
    texts = [_text(one["content"], f"{at}content") for one, at in zip(requests, paths, strict=True)]
    dimensions = {one.get("outputDimensionality") for one in requests}
    if len(dimensions) > 1:
        raise RequestError(
            "All requests in a batch must have the same `outputDimensionality`.",
            param="requests",
            code="unsupported_value",
            hint="Send a separate batch for each value.",
        )
    if any(one.get("taskType") not in _HARMLESS for one in requests):
        notes.append("dropped taskType: Copilot's models return only one kind of vector")
    if any(one.get("title") for one in requests):
        notes.append("dropped title: Copilot's models embed only the text")
    request: ClientRequest = {"model": model_name(model), "input": texts}
    if (size := next(iter(dimensions), None)) is not None:
        request["dimensions"] = size
    check_request(request)
    return request


def _text(content: Json, path: str) -> str:
    texts: list[str] = []
    for j, part in enumerate(content.get("parts") or ()):
        if part.get("text") is None:
            raise RequestError(
                "Copilot embeds only text.",
                param=f"{path}.parts[{j}]",
                code="unsupported_value",
                hint="Send text in each part.",
            )
        texts.append(part["text"])
    return "\n".join(texts)


def embedding(answer: Json) -> ClientResponse:
    """Return the answer to ``:embedContent``."""
    return {"embedding": _vectors(answer)[0]}


def embedding_list(answer: Json) -> ClientResponse:
    """Return the answer to ``:batchEmbedContents``."""
    return {"embeddings": _vectors(answer)}


def _vectors(answer: Json) -> list[Json]:
    data: list[dict[str, Any]] = answer["data"]
    return [{"values": one["embedding"]} for one in data]
