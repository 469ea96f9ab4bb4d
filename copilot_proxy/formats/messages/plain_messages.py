"""Reads long requests whose messages are plain, and checks whether a model accepts them unchanged.

See `formats.plain_turns`. The structs only have the fields and types that agents send and Copilot
accepts. If the decoder finds anything else, the request is parsed in the usual way.
"""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import checked_source
from copilot_proxy.formats.messages.encrypted_reasoning import claude_signature
from copilot_proxy.formats.messages.schema import MessagesRequest
from copilot_proxy.formats.messages.unsupported_input import PLACEHOLDER, drop_empty_results
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.paired_calls import CALL, RESULT, TURN, Steps, are_paired
from copilot_proxy.formats.plain_turns import PlainDecoder, PlainTurns
from copilot_proxy.formats.request_fields import FIELDS
from copilot_proxy.formats.rules.images import wrong_type
from copilot_proxy.formats.rules.tool_ids import are_accepted
from copilot_proxy.formats.stringified_results import any_stringified


class _Plain(Struct, forbid_unknown_fields=True, gc=False):
    pass


class _Mark(_Plain, omit_defaults=True):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | UnsetType = UNSET


class _Source(_Plain):
    type: Literal["base64"]
    media_type: str
    data: str


class _Text(_Plain, tag_field="type", tag="text"):
    text: str
    cache_control: _Mark | UnsetType = UNSET


class _Image(_Plain, tag_field="type", tag="image"):
    source: _Source
    cache_control: _Mark | UnsetType = UNSET


class _Thinking(_Plain, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class _Redacted(_Plain, tag_field="type", tag="redacted_thinking"):
    data: str


class _Call(_Plain, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | UnsetType = UNSET
    cache_control: _Mark | UnsetType = UNSET


class _Result(_Plain, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | Annotated[list[_Text | _Image], Meta(min_length=1)] | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET
    cache_control: _Mark | UnsetType = UNSET


class _User(_Plain, tag_field="role", tag="user"):
    role: ClassVar[str] = "user"
    content: str | Annotated[list[_Text | _Image | _Result], Meta(min_length=1)]


class _Assistant(_Plain, tag_field="role", tag="assistant"):
    role: ClassVar[str] = "assistant"
    content: str | Annotated[list[_Text | _Thinking | _Redacted | _Call], Meta(min_length=1)]


class _System(_Plain, tag_field="role", tag="system"):
    role: ClassVar[str] = "system"
    content: str | Annotated[list[_Text | _Image], Meta(min_length=1)]
    """Only text is valid, but with a single type of block, msgspec would accept blocks without a
    ``type``."""
    output_config: dict[str, Any] | UnsetType = UNSET


_MISPLACED: Final = {(_Assistant, _System), (_System, _User)}
"""The types of two consecutive messages, one of which is a system message that has to be moved."""


class _Blocks:
    """All blocks of a conversation by type, including those in results."""

    def __init__(self, messages: list[Any]) -> None:
        lists = [one.content for one in messages if type(one.content) is list]
        blocks = [block for content in lists for block in content]
        self.results: list[Any] = [block for block in blocks if type(block) is _Result]
        lists = [result.content for result in self.results if type(result.content) is list]
        self.all = blocks = blocks + [part for content in lists for part in content]
        self.calls = [block for block in blocks if type(block) is _Call]
        self.texts = [block.text for block in blocks if type(block) is _Text]
        self.images = [block for block in blocks if type(block) is _Image]
        self.outputs = [one.content for one in self.results if type(one.content) is str]
        """The contents of the results that consist of a single string."""


def _plain(messages: list[Any]) -> PlainTurns | None:
    blocks = _Blocks(messages)
    if not messages or any_stringified("messages", blocks.outputs):
        return None
    images = blocks.images
    if images and not (_is_system_text_only(messages) and all(map(_is_image, images))):
        return None
    text_size = sum(map(len, blocks.outputs)) + sum(map(len, blocks.texts))
    return PlainTurns(messages, len(blocks.images), text_size, blocks)


def _is_system_text_only(messages: list[Any]) -> bool:
    contents = [one.content for one in messages if type(one) is _System]
    lists = [content for content in contents if type(content) is list]
    return all(type(block) is _Text for blocks in lists for block in blocks)


def _is_image(block: _Image) -> bool:
    """Return whether a block has an image in the form that is sent to Copilot."""
    source = msgspec.to_builtins(block.source)
    try:
        return bool(checked_source(source, "") == source)
    except RequestError:
        return False


PLAIN: Final = PlainDecoder(
    "messages",
    _User | _Assistant | _System,
    (*MessagesRequest.__struct_fields__, *FIELDS["messages"], "output_format"),
    _plain,
)


def settled(turns: PlainTurns, profile: ModelProfile) -> PlainTurns | None:
    """Return the messages in the form that Copilot's Messages API accepts.

    Messages with cache marks are returned as decoded JSON, so that rules can change the marks.
    Returns None if any of the rules about conversations might need to change something else.
    """
    limit = profile.max_images
    if profile.tool_id_form or (limit is not None and turns.images > limit):
        return None
    blocks: _Blocks = turns.parts
    if not (_are_roles_accepted(turns, profile) and are_paired(_steps(turns))):
        return None
    ids = {call.id for call in blocks.calls}
    if len(ids) < len(blocks.calls) or not are_accepted(ids, profile):
        return None
    if not all(map(profile.tool_name.fullmatch, {call.name for call in blocks.calls})):
        return None
    texts = blocks.texts + [one.content for one in turns if type(one.content) is str]
    if not profile.accepts_blank_texts and any(map(_is_blank, texts)):
        return None
    if any(wrong_type(msgspec.to_builtins(image)) for image in blocks.images):
        return None
    if not all(map(_is_readable, blocks.all)):
        return None
    return _decoded_where_changed(turns, blocks, profile)


def _decoded_where_changed(turns: PlainTurns, blocks: _Blocks, profile: ModelProfile) -> PlainTurns:
    """Return the messages; those that may have to change are returned as decoded JSON.

    Messages with cache marks are decoded so that rules can change the marks. If the model does not
    accept empty results, messages with such results must change too: the empty contents are
    removed.
    """
    changed = {id(one) for one in blocks.all if getattr(one, "cache_control", UNSET) is not UNSET}
    changed |= {
        id(result)
        for result in blocks.results
        if type(result.content) is list and not changed.isdisjoint(map(id, result.content))
    }
    if not profile.accepts_blank_texts:
        results = [one for one in blocks.results if type(one.content) is not list]
        changed |= {id(one) for one in results if _is_blank(one.content)}
    if not changed:
        return turns
    kept = [
        msgspec.to_builtins(one)
        if type(one.content) is list and not changed.isdisjoint(map(id, one.content))
        else one
        for one in turns
    ]
    for message in [one for one in kept if isinstance(one, dict)]:
        if not profile.accepts_blank_texts:
            drop_empty_results(message)
    return turns.replaced(kept)


def _steps(turns: PlainTurns) -> Steps:
    """Yield the turns, calls and results."""
    for message in turns:
        content = message.content if type(message.content) is list else ()
        if type(message) is _Assistant:
            yield TURN
            for block in content:
                if type(block) is _Call:
                    yield CALL, block.id
        else:
            for block in content:
                yield (RESULT, block.tool_use_id) if type(block) is _Result else TURN
            yield TURN


def _are_roles_accepted(turns: PlainTurns, profile: ModelProfile) -> bool:
    """Return whether the model accepts the order of the messages."""
    if type(turns[0]) is _System:
        return False  # it belongs in the system prompt
    kinds = list(map(type, turns))
    if _System in kinds and not _MISPLACED.isdisjoint(pairwise(kinds)):
        return False
    last = next(type(one) for one in reversed(turns) if type(one) is not _System)
    return (profile.may_begin_with_assistant or type(turns[0]) is not _Assistant) and (
        profile.may_end_with_assistant or last is not _Assistant
    )


def _is_readable(block: Any) -> bool:
    """Return whether a thinking block is signed by Claude and has the form that is sent to Copilot.
    Other blocks are always readable."""
    kind = type(block)
    if kind is _Thinking:
        return block.thinking != PLACEHOLDER and _is_signature(block.signature)
    return kind is not _Redacted or _is_signature(block.data)


def _is_signature(text: str) -> bool:
    return claude_signature(text) == text


def _is_blank(text: str | UnsetType) -> bool:
    return text is UNSET or not text or text.isspace()
