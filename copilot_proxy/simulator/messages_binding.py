"""The signatures of thinking blocks. A block may be bound to the conversation before it.

A mark is a hash that identifies a conversation up to a given block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import claude
from .messages_thinking import invalid_request
from .types import Block, Json, MessagesRequest, Model

if TYPE_CHECKING:
    from .opaque_strings import OpaqueStrings

FREE = "signature"
BOUND = "bound signature"
MARK_SIZE = 8
"""Size of a mark in bytes."""


def mark_of(body: MessagesRequest) -> bytes:
    """Return the mark of a request's entire conversation."""
    *_, (_, _, last) = _marks(body)
    return last


def sign(strings: OpaqueStrings, mark: bytes | None) -> str:
    """Return a new signature, bound to the conversation with this `mark`, or unbound if None."""
    if mark is None:
        return strings.make(FREE, 200)
    return strings.make(BOUND, 200, mark=mark)


def check(body: MessagesRequest, model: Model, strings: OpaqueStrings) -> list[Json]:
    """Return the entries of ``input_transformations``: one for each dropped block.

    Raises a 400 for an invalid signature. Blocks from another conversation are dropped if the
    request asks for that; otherwise, they also raise a 400.
    """
    binding = (body.get("thinking") or {}).get("block_binding") or {}
    drops = binding.get("prefix_mismatch_behavior") == "drop_block"
    dropped = []
    before: list[bytes] = []
    for path, block, mark in _marks(body):
        if block is None or block["role"] != "assistant":
            before = []
        elif block["type"] == "thinking" and not _is_valid(block, before, model, strings):
            if not drops:
                raise invalid_request(
                    f"{path}: Invalid signature in thinking block. The block is bound to a "
                    "different conversation. Remove the block, or set `thinking.block_binding."
                    'prefix_mismatch_behavior` to "drop_block".'
                )
            reason = "prefix_binding_mismatch"
            dropped.append({"type": "thinking_dropped", "path": path, "reason": reason})
        # All blocks of an answer are signed with the same mark: the one before its first block.
        before.append(mark)
    return dropped


def _is_valid(block: Block, marks: list[bytes], model: Model, strings: OpaqueStrings) -> bool:
    """Return whether a block is bound to one of `marks`, or not bound at all.

    Raises a 400 for an invalid signature.
    """
    signature = block.get("signature")
    if isinstance(signature, str) and strings.is_valid(BOUND, signature):
        return not claude.binds_history(model) or strings.mark(signature, MARK_SIZE) in marks
    if not strings.is_valid(FREE, signature):
        raise invalid_request("Invalid signature in thinking block")
    return True


def _marks(body: MessagesRequest) -> Iterator[tuple[str, Block | None, bytes]]:
    """Yield (path, block with its role, mark) for each block.

    The mark is that of the conversation up to and including the block. The first tuple has neither
    a path nor a block, only the mark of the system prompt and tools. Marks do not depend on cache
    breakpoints, or on whether text is a string or a block.
    """
    head = {"system": _list(body.get("system")), "tools": body.get("tools") or []}
    mark = _hash(b"", _plain(head))
    yield "", None, mark
    for number, message in enumerate(body["messages"]):
        for index, block in enumerate(_list(message["content"])):
            tagged = {**block, "role": message["role"]}
            mark = _hash(mark, _plain(tagged))
            yield f"messages.{number}.content.{index}", tagged, mark


def _list(content: Any) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content or []


def _plain(value: Any) -> Any:
    """Return the value without nulls or cache breakpoints, with strings converted to blocks."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {k: _plain(v) for k, v in value.items() if k != "cache_control" and v is not None}
    if found.get("type") == "tool_result":
        found["content"] = _plain(_list(found.get("content")))
    return found


def _hash(before: bytes, value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True).encode()
    return hashlib.blake2b(before + text, digest_size=MARK_SIZE).digest()
