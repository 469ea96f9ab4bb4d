"""Reads long requests whose items are plain, and checks whether a model accepts them unchanged.

See `formats.plain_turns`. The structs only have the fields and types that agents send and Copilot
accepts. If the decoder finds anything else, the request is parsed in the usual way.
"""

from copy import copy
from sys import getsizeof
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import checked_url
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.paired_calls import CALL, RESULT, Steps, are_paired
from copilot_proxy.formats.plain_turns import PlainDecoder, PlainTurns
from copilot_proxy.formats.request_fields import FIELDS
from copilot_proxy.formats.responses.encrypted_reasoning import responses_contents
from copilot_proxy.formats.responses.schema import ResponsesRequest
from copilot_proxy.formats.responses.tools import ADDITIONAL
from copilot_proxy.formats.rules.images import wrong_type
from copilot_proxy.formats.rules.tool_ids import are_accepted
from copilot_proxy.formats.rules.tool_inputs import are_json
from copilot_proxy.formats.stringified_results import any_stringified

_Type = Literal[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "additional_tools",
]
_CALLS: Final = ("function_call", "custom_tool_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


class _Part(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """A part of a message or result. The last two fields occur in the model's own text."""

    type: Literal["input_text", "output_text", "input_image"]
    text: str | UnsetType = UNSET
    image_url: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    annotations: list[Any] | UnsetType = UNSET
    logprobs: list[Any] | UnsetType = UNSET


_Parts = Annotated[list[_Part], Meta(min_length=1)]


class _Item(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """An item of any type. All types share one struct, since clients may leave out a message's
    type.

    A null `content`, which Codex sends with reasoning, is not passed on.
    """

    type: _Type | UnsetType = UNSET
    id: str | UnsetType = UNSET
    role: Literal["user", "assistant", "system", "developer"] | UnsetType = UNSET
    content: str | _Parts | None = None
    call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    input: str | UnsetType = UNSET
    output: str | _Parts | UnsetType = UNSET
    summary: list[dict[str, Any]] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    phase: str | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET


def _plain(items: list[Any]) -> PlainTurns | None:
    """Return the items as `PlainTurns`, or None if any is not plain.

    The tools in items that add tools are not checked.
    """
    lists = [one.content for one in items if type(one.content) is list]
    lists += [one.output for one in items if type(one.output) is list]
    parts = [part for parts in lists for part in parts]
    images = [part for part in parts if part.type == "input_image"]
    outputs = [one.output for one in items if type(one.output) is str]
    if not items or not all(map(_is_valid, items)) or not all(map(_is_valid_part, parts)):
        return None
    if images and any(map(_has_images, [one for one in items if one.role == "assistant"])):
        return None
    if any_stringified("responses", outputs):
        return None
    turns = [msgspec.to_builtins(one) if one.type == ADDITIONAL else one for one in items]
    texts = [part.text for part in parts if type(part.text) is str]
    read = PlainTurns(turns, len(images), sum(map(len, outputs)) + sum(map(len, texts)))
    values: list[Any] = [one.content for one in items]
    values += [one.arguments for one in items]
    values += [one.input for one in items]
    texts += [*outputs, *[value for value in values if type(value) is str]]
    wide = [text for text in texts if not text.isascii()]
    read.wide_size = sum(map(getsizeof, wide)) - sum(map(len, wide))
    return read


def _has_images(message: _Item) -> bool:
    content = message.content
    return type(content) is list and any(part.type == "input_image" for part in content)


def _is_valid(item: _Item) -> bool:
    """Return whether an item has the fields of its type, and no conflicting fields."""
    kind = item.type
    if kind is UNSET or kind == "message":
        return item.role is not UNSET and item.content is not None and item.call_id is UNSET
    if item.content is not None or (item.role is not UNSET and kind != ADDITIONAL):
        return False
    if kind in _RESULTS:
        return item.call_id is not UNSET and item.output is not UNSET
    if kind == "function_call":
        return item.call_id is not UNSET and item.name is not UNSET and bool(item.arguments)
    if kind == "custom_tool_call":
        return item.call_id is not UNSET and item.name is not UNSET and item.input is not UNSET
    return item.call_id is UNSET and (kind == ADDITIONAL) == (item.tools is not UNSET)


def _is_valid_part(part: _Part) -> bool:
    if part.type != "input_image":
        return part.text is not UNSET
    if part.image_url is UNSET:
        return False
    try:
        return checked_url(part.image_url, "") == part.image_url
    except RequestError:
        return False


PLAIN: Final = PlainDecoder(
    "input",
    _Item,
    (*ResponsesRequest.__struct_fields__, *FIELDS["responses"], "client_metadata"),
    _plain,
)


def settled(turns: PlainTurns, profile: ModelProfile) -> PlainTurns | None:
    """Return the items in the form that Copilot's Responses API accepts, without their ids.

    Items that add tools are not changed. Returns None if any of the rules about conversations might
    need to change the other items.
    """
    if profile.tool_id_form or not (
        profile.accepts_blank_texts
        and profile.may_begin_with_assistant
        and profile.may_end_with_assistant
    ):
        return None
    called = [one for one in turns if type(one) is _Item and one.call_id is not UNSET]
    calls = [one for one in called if one.type in _CALLS]
    ids = {str(call.call_id) for call in calls}
    if len(ids) < len(calls) or not are_accepted(ids, profile):
        return None
    if not all(map(profile.tool_name.fullmatch, {str(call.name) for call in calls})):
        return None
    if not (are_paired(_steps(called)) and _are_calls_accepted(calls, profile)):
        return None
    thoughts = [one for one in turns if type(one) is _Item and one.type == "reasoning"]
    if not all(map(_is_readable, thoughts)):
        return None
    if turns.images and any(_has_wrong_type(one) for one in turns if type(one) is _Item):
        return None
    return turns.replaced(map(_without_id, turns))


def _has_wrong_type(item: _Item) -> bool:
    """Return whether the item has an image whose declared type is wrong."""
    lists = [parts for parts in (item.content, item.output) if type(parts) is list]
    images = [part for parts in lists for part in parts if part.type == "input_image"]
    return any(wrong_type(msgspec.to_builtins(image)) for image in images)


def _steps(called: list[Any]) -> Steps:
    """Yield the calls and results among these items."""
    for item in called:
        yield CALL if item.type in _CALLS else RESULT, item.call_id


def _are_calls_accepted(calls: list[Any], profile: ModelProfile) -> bool:
    """Return whether the model accepts these kinds of calls, and their arguments."""
    if not profile.namespaces and any(call.namespace is not UNSET for call in calls):
        return False
    functions = [call.arguments for call in calls if call.type == "function_call"]
    if len(functions) < len(calls) and (not profile.custom_tools or profile.object_arguments):
        return False
    if profile.object_arguments and not all(text.lstrip()[:1] == "{" for text in functions):
        return False
    return are_json(functions)


def _is_readable(item: _Item) -> bool:
    """Return whether reasoning is complete and was encrypted by this API."""
    content = item.encrypted_content
    is_own = isinstance(content, str) and responses_contents(content) == [content]
    return is_own and item.summary is not UNSET


def _without_id(turn: Any) -> Any:
    """Return an item without its id, which Copilot rejects."""
    if type(turn) is not _Item or turn.id is UNSET:
        return turn
    sent = copy(turn)
    sent.id = UNSET
    return sent
