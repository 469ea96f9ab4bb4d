"""Fields of the request that Copilot or the model refuses, dropped with a word about why."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.formats.profiles import Api, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


class Reasons(NamedTuple):
    """Why fields are dropped on one API."""

    refused: Mapping[str, str]
    """Those that every model refuses there, and why."""
    others: str
    """What is said of the rest."""
    reasons: Mapping[str, str] = {}
    """More to say of some fields that are not among a model's `fields`."""
    silent: Mapping[str, tuple[Any, ...]] = {}
    """Values that ask for what happens anyway: nobody needs to know that they are dropped."""


REASONS: Final[Mapping[Api, Reasons]] = {
    "chat_completions": Reasons(
        refused={
            "service_tier": "Copilot refuses it",
            "store": "Copilot stores nothing",
            "metadata": "it belongs to stored answers, and Copilot stores nothing",
            "safety_identifier": "Copilot refuses it",
        },
        others="the model does not take it",
    ),
    "responses": Reasons(
        refused={},
        others="Copilot does not take it",
        reasons={
            "service_tier": "Copilot refuses it",
            "safety_identifier": "Copilot refuses it",
            "background": "Copilot does not have it",
            "store": "Copilot stores nothing",
            "metadata": "Copilot stores nothing; the answer repeats it",
            "top_logprobs": "Copilot gives no logprobs",
            "max_tool_calls": "it counts tools that Copilot does not run",
        },
        silent={
            "background": (False,),
            "metadata": ({},),
            "service_tier": ("auto", "default"),
            "stream_options": ({}, {"include_obfuscation": False}),
        },
    ),
    "messages": Reasons(refused={}, others="Copilot does not take it"),
}


def drop_refused(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops the fields that no model takes, and those that this one does not."""
    body, told = outgoing.body, REASONS[outgoing.api]
    for name in [name for name in told.refused if name in body]:
        del body[name]
        notes.append(f"dropped {name}: {told.refused[name]}")
    if profile.fields is not None:
        for name in [name for name in body if name not in profile.fields]:
            if body.pop(name) not in told.silent.get(name, ()):
                notes.append(f"dropped {name}: {told.reasons.get(name, told.others)}")


def drop_empty_prediction(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops a prediction without content."""
    prediction = outgoing.body.get("prediction")
    if prediction is None or (isinstance(prediction, dict) and prediction.get("content")):
        return
    del outgoing.body["prediction"]
    notes.append("dropped prediction: it is empty")


def drop_parallel_calls(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops the switch for several calls at once where the model does not have it."""
    if profile.parallel_calls is False and "parallel_tool_calls" in outgoing.body:
        del outgoing.body["parallel_tool_calls"]
        notes.append("dropped parallel_tool_calls: the model does not have it")


def disable_unsupported_stream(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Asks for a whole answer where the model does not stream; the client gets events all the
    same."""
    if not profile.streams and outgoing.body.get("stream") is True:
        outgoing.body["stream"] = False
