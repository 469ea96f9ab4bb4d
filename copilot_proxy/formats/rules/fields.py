"""Drops request fields that Copilot or the model refuses, with a note of the reason."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.formats.profiles import Api, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

EAGER_INPUT: Final = "eager_input_streaming"
"""The field of a tool that asks Claude to stream its input piece by piece, unchecked."""


class FieldReasons(NamedTuple):
    """The reasons for dropping fields on one API."""

    refused: Mapping[str, str]
    """Fields that every model refuses, with reasons."""
    default: str
    """The reason for all other fields that are not among a model's `fields`."""
    specific: Mapping[str, str] = {}
    """More specific reasons for some of these fields."""
    silent: Mapping[str, tuple[Any, ...]] = {}
    """Values that change nothing: dropping them is not noted."""


REASONS: Final[Mapping[Api, FieldReasons]] = {
    "chat_completions": FieldReasons(
        refused={
            "service_tier": "Copilot refuses it",
            "store": "Copilot stores nothing",
            "metadata": "it is for stored responses, and Copilot stores nothing",
            "safety_identifier": "Copilot refuses it",
        },
        default="the model does not accept it",
    ),
    "responses": FieldReasons(
        refused={},
        default="Copilot does not accept it",
        specific={
            "service_tier": "Copilot refuses it",
            "safety_identifier": "Copilot refuses it",
            "background": "Copilot does not support it",
            "store": "Copilot stores nothing",
            "metadata": "Copilot stores nothing; the response repeats it",
            "top_logprobs": "Copilot does not return logprobs",
            "max_tool_calls": "it limits built-in tools, which Copilot does not run",
        },
        silent={
            "background": (False,),
            "metadata": ({},),
            "service_tier": ("auto", "default"),
            "stream_options": ({}, {"include_obfuscation": False}),
        },
    ),
    "messages": FieldReasons(refused={}, default="Copilot does not accept it"),
}


def drop_refused(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop the fields that no model accepts, and those that this model does not accept."""
    body, reasons = outgoing.body, REASONS[outgoing.api]
    for name in [name for name in reasons.refused if name in body]:
        del body[name]
        notes.append(f"dropped {name}: {reasons.refused[name]}")
    if profile.fields is not None:
        for name in [name for name in body if name not in profile.fields]:
            if body.pop(name) not in reasons.silent.get(name, ()):
                notes.append(f"dropped {name}: {reasons.specific.get(name, reasons.default)}")


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
    """Change the tool choice ``validated``, which newer Gemini models know, to ``auto``."""
    choice = outgoing.body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind == "validated":
        outgoing.set_tool_choice_auto()
        notes.append("changed tool_choice from validated to auto: the model does not support it")


def drop_eager_input(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop ``eager_input_streaming`` of tools if the model does not support it."""
    tools = [tool.function for tool in outgoing.tools]
    for tool in [tool for tool in tools if EAGER_INPUT in tool]:
        if tool.pop(EAGER_INPUT):
            notes.append(f"dropped {EAGER_INPUT} of tools: the model does not support it")


def disable_unsupported_stream(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Request a whole response if the model does not stream; the client still gets a stream."""
    if outgoing.body.get("stream") is True:
        outgoing.body["stream"] = False
