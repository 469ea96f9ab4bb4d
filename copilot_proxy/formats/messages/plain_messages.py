"""Reads long requests whose messages are plain, and checks whether a model accepts them unchanged.

See `formats.plain_turns`. The structs have the fields and types that agents send and Copilot
accepts, so whatever is unusual makes the decoder refuse the request, which is then read in the
general way.
"""

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import check_source
from copilot_proxy.formats.messages.encrypted_reasoning import claude_signature
from copilot_proxy.formats.messages.schema import MessagesRequest
from copilot_proxy.formats.messages.unsupported_input import PLACEHOLDER, drop_empty_results
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.plain_turns import PlainDecoder, PlainTurns
from copilot_proxy.formats.request_fields import FIELDS
from copilot_proxy.formats.rules.images import wrong_type
from copilot_proxy.formats.rules.tool_ids import is_accepted
from copilot_proxy.formats.stringified_results import is_stringified
from copilot_proxy.formats.types import Json


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
    content: str | Annotated[list[_Text], Meta(min_length=1)]
    output_config: dict[str, Any] | UnsetType = UNSET


_decode: Final = PlainDecoder(
    "messages",
    _User | _Assistant | _System,
    (*MessagesRequest.__struct_fields__, *FIELDS["messages"], "output_format"),
)


def plain_request(body: bytes) -> Json | None:
    """Return a long request whose messages are plain, as `PlainTurns`; None for any other.

    The fields outside of the messages are not checked.
    """
    if (read := _decode(body)) is None:
        return None
    fields, messages = read
    lists = [one.content for one in messages if type(one.content) is list]
    blocks = [block for content in lists for block in content]
    results = [block.content for block in blocks if type(block) is _Result]
    blocks += [part for content in results if type(content) is list for part in content]
    images = [block for block in blocks if type(block) is _Image]
    texts = [content for content in results if type(content) is str]
    if not messages or any(is_stringified("messages", text) for text in texts):
        return None
    if not all(map(_is_image, images)):
        return None
    return {**fields, "messages": PlainTurns(messages, len(images))}


def _is_image(block: _Image) -> bool:
    try:
        check_source(msgspec.to_builtins(block.source), "")
    except RequestError:
        return False
    return True


def settled(turns: PlainTurns, profile: ModelProfile) -> PlainTurns | None:
    """Return the messages in the form that Copilot's Messages API accepts.

    Messages with cache marks are decoded JSON, since rules change marks. Returns None if any of the
    rules about conversations might have to change something else.
    """
    most = profile.max_images
    if profile.tool_id_form or (most is not None and turns.images > most):
        return None
    contents = [one.content for one in turns]
    blocks = [block for content in contents if type(content) is list for block in content]
    calls = [block for block in blocks if type(block) is _Call]
    if len({call.id for call in calls}) < len(calls) or not _is_paired(turns):
        return None
    if not all(map(profile.tool_name.fullmatch, {call.name for call in calls})):
        return None
    if not _are_roles_accepted(turns, profile):
        return None
    texts = [content for content in contents if type(content) is str]
    if not profile.accepts_blank_texts and any(map(_is_blank, texts)):
        return None
    if not all(_is_accepted(block, profile) for block in blocks):
        return None
    kept = [msgspec.to_builtins(one) if _is_changed(one, profile) else one for one in turns]
    for message in [one for one in kept if isinstance(one, dict)]:
        if not profile.accepts_blank_texts:
            drop_empty_results(message)
    return PlainTurns(kept, turns.images)


def _is_paired(turns: PlainTurns) -> bool:
    """Return whether the results of each message's calls begin the next message."""
    open_ids: list[str] = []  # of the calls in the previous message
    for message in turns:
        calls: list[str] = []
        is_first = True  # no block yet but results
        for block in message.content if type(message.content) is list else ():
            kind = type(block)
            if kind is not _Result:
                is_first = False
                if kind is _Call:
                    calls.append(block.id)
            elif is_first and block.tool_use_id in open_ids:
                open_ids.remove(block.tool_use_id)
            else:
                return False
        if open_ids:
            return False
        open_ids = calls
    return not open_ids


def _are_roles_accepted(turns: PlainTurns, profile: ModelProfile) -> bool:
    """Return whether the model accepts the order of the messages."""
    if type(turns[0]) is _System:
        return False  # it belongs to the system prompt
    last = next(type(one) for one in reversed(turns) if type(one) is not _System)
    return (profile.may_begin_with_assistant or type(turns[0]) is not _Assistant) and (
        profile.may_end_with_assistant or last is not _Assistant
    )


def _is_accepted(block: Any, profile: ModelProfile) -> bool:
    """Return whether the model accepts a block, except for its marks, and empty results."""
    kind = type(block)
    if kind is _Call:
        return is_accepted(block.id, profile)
    if kind is _Result:
        parts = block.content if type(block.content) is list else ()
        return all(_is_accepted(part, profile) for part in parts)
    if kind is _Text:
        return profile.accepts_blank_texts or not _is_blank(block.text)
    if kind is _Image:
        return profile.wrong_image_types or wrong_type(msgspec.to_builtins(block)) is None
    if kind is _Thinking and block.thinking == PLACEHOLDER:
        return False
    signature: str = block.signature if kind is _Thinking else block.data
    return claude_signature(signature) == signature


def _is_changed(message: Any, profile: ModelProfile) -> bool:
    """Return whether a message has marks, or an empty result that the model does not accept."""
    for block in message.content if type(message.content) is list else ():
        kind = type(block)
        if kind is _Thinking or kind is _Redacted:
            continue
        if block.cache_control is not UNSET:
            return True
        if kind is not _Result:
            continue
        if type(block.content) is list:
            if any(part.cache_control is not UNSET for part in block.content):
                return True
        elif not profile.accepts_blank_texts and _is_blank(block.content):
            return True
    return False


def _is_blank(text: str | UnsetType) -> bool:
    return text is UNSET or not text or text.isspace()
