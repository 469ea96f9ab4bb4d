"""Reads long requests whose messages are plain, and checks whether a model accepts them unchanged.

See `formats.plain_turns`. The structs only have the fields and types that need no changes. If the
decoder finds anything else, the request is parsed in the usual way.
"""

from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.images import checked_url
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.paired_calls import CALL, RESULT, TURN, Steps, are_paired
from copilot_proxy.formats.plain_turns import PlainDecoder, PlainTurns
from copilot_proxy.formats.reasoning_labels import CALL_LABEL, OTHER_APIS
from copilot_proxy.formats.rules.images import wrong_type
from copilot_proxy.formats.rules.tool_ids import are_accepted
from copilot_proxy.formats.rules.tool_inputs import are_json
from copilot_proxy.formats.stringified_results import any_stringified

_Filled = Annotated[str, Meta(min_length=1)]
_Mark = dict[str, Any] | UnsetType
"""A mark for Claude's prompt cache, which some agents set on messages, calls and text parts."""


class _Plain(Struct, forbid_unknown_fields=True, gc=False):
    pass


class _Function(_Plain):
    name: str
    arguments: _Filled


class _Call(_Plain, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: _Function
    cache_control: _Mark = UNSET


class _Text(_Plain, tag_field="type", tag="text"):
    text: str
    cache_control: _Mark = UNSET


class _Url(_Plain):
    url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class _Image(_Plain, tag_field="type", tag="image_url"):
    image_url: _Url
    cache_control: _Mark = UNSET


_Parts = Annotated[list[_Text | _Image], Meta(min_length=1)]
"""The parts of any message. Only users can send images, but with a single type of part, msgspec
would accept parts without a ``type``."""


class _System(_Plain, tag_field="role", tag="system"):
    content: str | _Parts
    cache_control: _Mark = UNSET


class _Developer(_Plain, tag_field="role", tag="developer"):
    content: str | _Parts
    cache_control: _Mark = UNSET


class _User(_Plain, tag_field="role", tag="user"):
    content: str | _Parts
    cache_control: _Mark = UNSET


class _Assistant(_Plain, tag_field="role", tag="assistant"):
    content: str | None = None
    tool_calls: Annotated[list[_Call], Meta(min_length=1)] | UnsetType = UNSET
    reasoning_text: str | UnsetType = UNSET
    reasoning_opaque: str | UnsetType = UNSET
    cache_control: _Mark = UNSET


class _Result(_Plain, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str | _Parts
    cache_control: _Mark = UNSET


class _Found:
    """The texts, images, calls and other parts of a conversation that the checks need."""

    def __init__(self, messages: list[Any]) -> None:
        lists = [one.content for one in messages if type(one.content) is list]
        parts = [part for content in lists for part in content]
        self.texts = [part for part in parts if type(part) is _Text]
        self.images = [part for part in parts if type(part) is _Image]
        self.assistants: list[Any] = [one for one in messages if type(one) is _Assistant]
        self.calling = [one for one in self.assistants if one.tool_calls]
        self.calls = [call for one in self.calling for call in one.tool_calls]
        markable = [*messages, *self.calls, *parts]
        self.marked = [one for one in markable if one.cache_control is not UNSET]


def _plain(messages: list[Any]) -> PlainTurns | None:
    results = [one.content for one in messages if type(one) is _Result and type(one.content) is str]
    if not messages or any_stringified("chat_completions", results):
        return None
    parts = _Found(messages)
    if parts.images and not (_has_only_user_images(messages) and all(map(_is_image, parts.images))):
        return None
    text_size = sum(map(len, results)) + sum([len(part.text) for part in parts.texts])
    return PlainTurns(messages, len(parts.images), text_size, parts)


def _has_only_user_images(messages: list[Any]) -> bool:
    """Return whether only the user's messages contain images."""
    others = [one.content for one in messages if type(one) is not _User]
    lists = [content for content in others if type(content) is list]
    return all(type(part) is _Text for parts in lists for part in parts)


def _is_image(part: _Image) -> bool:
    """Return whether Copilot accepts the image's URL unchanged."""
    try:
        return checked_url(part.image_url.url, "") == part.image_url.url
    except RequestError:
        return False


PLAIN: Final = PlainDecoder(
    "messages",
    _System | _Developer | _User | _Assistant | _Result,
    (
        *ChatCompletionRequest.__struct_fields__,
        *("metadata", "reasoning", "safety_identifier", "service_tier", "store"),
        *("thinking", "thinking_budget", "top_k"),
    ),
    _plain,
)


def settled(turns: PlainTurns, profile: ModelProfile) -> PlainTurns | None:
    """Return the messages in the form that Copilot's chat API accepts.

    Returns None if any of the rules about conversations might need to change them.
    """
    parts: _Found = turns.parts
    limit = profile.max_images
    if parts.marked or (limit is not None and turns.images > limit):
        return None
    if profile.tool_id_form or profile.signed_calls or not are_paired(_steps(turns), in_order=True):
        return None
    calls = parts.calls
    ids = {call.id for call in calls}
    functions = [call.function for call in calls]
    if len(ids) < len(calls) or not are_accepted(ids, profile):
        return None
    if not all(map(profile.tool_name.fullmatch, {function.name for function in functions})):
        return None
    arguments = [function.arguments for function in functions]
    if not are_json(arguments):
        return None
    if profile.object_arguments and not all(text.lstrip()[:1] == "{" for text in arguments):
        return None
    limit = profile.max_calls
    if limit is not None and any(len(one.tool_calls) > limit for one in parts.calling):
        return None
    if not all(map(_is_accepted, parts.assistants)):
        return None
    if any(wrong_type(msgspec.to_builtins(image)) for image in parts.images):
        return None
    return _normalized(turns) if _are_texts_accepted(turns, profile) else None


def used_ids(turns: PlainTurns) -> frozenset[str]:
    """Return the ids of the tool calls."""
    calling = [one.tool_calls for one in turns if type(one) is _Assistant and one.tool_calls]
    return frozenset([call.id for calls in calling for call in calls])


def _steps(turns: PlainTurns) -> Steps:
    """Yield the turns, calls and results, in the form that `are_paired` expects."""
    for one in turns:
        if type(one) is _Result:
            yield RESULT, one.tool_call_id
            continue
        yield TURN
        if type(one) is _Assistant and one.tool_calls:
            for call in one.tool_calls:
                yield CALL, call.id


def _is_accepted(message: _Assistant) -> bool:
    opaque = message.reasoning_opaque
    is_labeled = bool(opaque) and str(opaque).startswith((CALL_LABEL, *OTHER_APIS))
    return bool(message.content or message.tool_calls) and not is_labeled


def _are_texts_accepted(turns: PlainTurns, profile: ModelProfile) -> bool:
    """Return whether the model accepts the text of the messages, and their order."""
    kinds = [type(one) for one in turns if type(one) not in (_System, _Developer)]
    if not profile.may_begin_with_assistant and kinds[:1] == [_Assistant]:
        return False
    if not profile.may_lack_messages and not kinds:
        return False
    if not profile.may_end_with_assistant and kinds[-1:] in ([], [_Assistant]):
        return False
    if not profile.consecutive_assistants and (_Assistant, _Assistant) in pairwise(kinds):
        return False
    if profile.accepts_blank_texts:
        return True
    # Results may be empty, and so may the text of an assistant message that calls tools.
    written = [one for one in turns if type(one) is not _Result and type(one.content) is str]
    texts = [one.content for one in written if type(one) is not _Assistant or one.content]
    texts += [part.text for part in turns.parts.texts]
    return all(text and not text.isspace() for text in texts)


def _normalized(turns: PlainTurns) -> PlainTurns:
    """Return the messages with roles and empty contents replaced by those that Copilot accepts."""
    if all(map(_is_normal, turns)):
        return turns
    return turns.replaced(one if _is_normal(one) else _normal(one) for one in turns)


def _is_normal(message: Any) -> bool:
    kind = type(message)
    return kind is not _Developer and (kind is not _Assistant or message.content != "")


def _normal(message: _Developer | _Assistant) -> Struct:
    if isinstance(message, _Developer):
        return _System(content=message.content)
    return structs.replace(message, content=None)
