"""``POST /embeddings``: meaningless vectors that depend only on the text."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from . import catalogue, models
from .refusal import copilot, plain
from .script import tokens
from .types import EmbeddingsRequest, Model

if TYPE_CHECKING:
    from .call import Call

DEFAULT_SIZE = 1536


async def handle(call: Call, headers: dict[str, str]) -> None:
    """Answer a request. The answer, like Copilot's, has neither ``object`` nor ``model``."""
    body = call.record.body
    if not isinstance(body, dict):
        raise plain(400, "Bad Request\n")
    texts = body.get("input")
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise plain(400, "Bad Request\n")
    model = models.find(call.state, body, catalogue.EMBEDDINGS)
    if not texts or not all(texts):
        raise copilot(400, "input must not be empty", "invalid_request_body")
    limit = catalogue.limit(model, "max_inputs") or 512
    if len(texts) > limit:
        message = f"too many inputs: {len(texts)} exceed the limit of {limit}"
        raise copilot(400, message, "invalid_request_body")
    data = [
        {"embedding": vector(text, _size(body, model)), "index": index, "object": "embedding"}
        for index, text in enumerate(texts)
    ]
    if call.state.faults.take("unordered", call.path):
        data.reverse()
    count = sum(tokens(text) for text in texts)
    await call.json(
        {"data": data, "usage": {"prompt_tokens": count, "total_tokens": count}}, headers
    )


def _size(body: EmbeddingsRequest, model: Model) -> int:
    size = body.get("dimensions")
    if size is None:
        return DEFAULT_SIZE
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= DEFAULT_SIZE:
        raise copilot(400, f"dimensions has to be 1 to {DEFAULT_SIZE}", "invalid_request_body")
    if not catalogue.supports(model, "dimensions"):
        message = f"dimensions is not supported by model {model['id']}"
        raise copilot(400, message, "invalid_request_body")
    return size


def vector(text: str, size: int) -> list[float]:
    """Return a unit vector of `size` numbers, which is always the same for the same text."""
    raw = hashlib.shake_256(text.encode()).digest(size * 2)
    values = [
        int.from_bytes(raw[offset : offset + 2], "big") / 32768 - 1 + 1 / 65536
        for offset in range(0, size * 2, 2)
    ]
    length = math.sqrt(sum(value * value for value in values))
    return [round(value / length, 8) for value in values]
