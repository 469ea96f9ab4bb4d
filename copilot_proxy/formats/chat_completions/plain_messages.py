"""Reads long requests whose messages are plain, and checks whether a model accepts them unchanged.

See `formats.plain_turns`. The structs have exactly the fields and types that need no changes, so
the decoder rejects anything unusual, and the request is then parsed in the general way.
"""

from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.paired_calls import CALL, RESULT, TURN, Steps, are_paired
from copilot_proxy.formats.plain_turns import PlainDecoder, PlainTurns
from copilot_proxy.formats.reasoning_labels import OTHER_APIS
from copilot_proxy.formats.rules.tool_ids import are_accepted
from copilot_proxy.formats.rules.tool_inputs import are_json
from copilot_proxy.formats.stringified_results import any_stringified

_Filled = Annotated[str, Meta(min_length=1)]


class _Function(Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: _Filled


class _Call(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: _Function


class _Text(Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str


class _System(Struct, tag_field="role", tag="system", forbid_unknown_fields=True, gc=False):
    content: str


class _Developer(Struct, tag_field="role", tag="developer", forbid_unknown_fields=True, gc=False):
    content: str


class _User(Struct, tag_field="role", tag="user", forbid_unknown_fields=True, gc=False):
    content: str | Annotated[list[_Text], Meta(min_length=1)]


class _Assistant(Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False):
    content: str | None = None
    tool_calls: Annotated[list[_Call], Meta(min_length=1)] | UnsetType = UNSET
    reasoning_text: str | UnsetType = UNSET
    reasoning_opaque: str | UnsetType = UNSET


class _Result(Struct, tag_field="role", tag="tool", forbid_unknown_fields=True, gc=False):
    tool_call_id: str
    content: str


def _plain(messages: list[Any]) -> PlainTurns | None:
    results = [one.content for one in messages if type(one) is _Result]
    if not messages or any_stringified("chat_completions", results):
        return None
    return PlainTurns(messages, text_size=sum(map(len, results)))


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
    if profile.tool_id_form or profile.signed_calls or not are_paired(_steps(turns), in_order=True):
        return None
    assistants: list[Any] = [one for one in turns if type(one) is _Assistant]
    calling = [one for one in assistants if one.tool_calls]
    calls = [call for one in calling for call in one.tool_calls]
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
    most = profile.max_calls
    if most is not None and any(len(one.tool_calls) > most for one in calling):
        return None
    if any(not _is_accepted(one) for one in assistants):
        return None
    return _normalized(turns) if _are_texts_accepted(turns, profile) else None


def used_ids(turns: PlainTurns) -> frozenset[str]:
    """Return the ids of the tool calls."""
    calling = [one.tool_calls for one in turns if type(one) is _Assistant and one.tool_calls]
    return frozenset([call.id for calls in calling for call in calls])


def _steps(turns: PlainTurns) -> Steps:
    """Yield the calls and results."""
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
    is_foreign = bool(opaque) and str(opaque).startswith(OTHER_APIS)
    return bool(message.content or message.tool_calls) and not is_foreign


def _are_texts_accepted(turns: PlainTurns, profile: ModelProfile) -> bool:
    """Return whether the model accepts the texts of the messages, and their order."""
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
    written = [one for one in turns if type(one) is not _Result]
    contents = [one.content for one in written if type(one) is not _Assistant or one.content]
    texts = [
        text
        for content in contents
        for text in ([content] if isinstance(content, str) else [part.text for part in content])
    ]
    return all(text and not text.isspace() for text in texts)


def _normalized(turns: PlainTurns) -> PlainTurns:
    """Return the messages with the roles and the empty contents that Copilot accepts."""
    if all(map(_is_normal, turns)):
        return turns
    return turns.replaced(one if _is_normal(one) else _normal(one) for one in turns)


def _is_normal(message: Any) -> bool:
    kind = type(message)
    return kind is not _Developer and (kind is not _Assistant or message.content != "")


def _normal(message: _Developer | _Assistant) -> Struct:
    if isinstance(message, _Developer):
        return _System(message.content)
    return structs.replace(message, content=None)
