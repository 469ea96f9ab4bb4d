"""Drops request fields that the model refuses, with a note that gives the reason."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.formats.model_profiles import Api, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

EAGER_INPUT: Final = "eager_input_streaming"
"""The field of a tool that asks Claude to stream its input incrementally, without validation."""


_REASONS: Final[Mapping[Api, str]] = {
    "chat_completions": "the model does not accept it",
    "responses": "Copilot does not accept it",
    "messages": "Copilot does not accept it",
}


def drop_refused(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop the fields that the model does not accept.

    Fields that no model accepts were already dropped; see `formats.request_fields`.
    """
    if profile.fields is None:
        return
    body = outgoing.body
    for name in [name for name in body if name not in profile.fields]:
        if body.pop(name) is not False:  # a field that is False has no effect
            shown = outgoing.fields.shown(name)
            notes.append(f"dropped {shown}: {_REASONS[outgoing.api]}")


def drop_empty_prediction(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop a prediction without content."""
    prediction = outgoing.body.get("prediction")
    if prediction is None or (isinstance(prediction, dict) and prediction.get("content")):
        return
    del outgoing.body["prediction"]
    notes.append("dropped prediction: it is empty")


def drop_parallel_calls(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop ``parallel_tool_calls`` if the model does not support it."""
    if "parallel_tool_calls" in outgoing.body:
        del outgoing.body["parallel_tool_calls"]
        notes.append("dropped parallel_tool_calls: the model does not support it")


def drop_validated(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Change the tool choice ``validated``, which only newer Gemini models support, to ``auto``."""
    choice = outgoing.body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind == "validated":
        outgoing.set_tool_choice_auto()
        notes.append(
            "changed tool_choice from validated to auto: the model does not support validated"
        )


def drop_eager_input(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop ``eager_input_streaming`` from tools if the model does not support it."""
    tools = [tool.function for tool in outgoing.tools]
    for tool in [tool for tool in tools if EAGER_INPUT in tool]:
        if tool.pop(EAGER_INPUT):
            notes.append(f"dropped {EAGER_INPUT} from tools: the model does not support it")


def disable_unsupported_stream(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Request a whole response if the model does not stream; the client still receives a stream."""
    if outgoing.body.get("stream") is True:
        outgoing.body["stream"] = False
