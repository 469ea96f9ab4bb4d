"""Adapts temperature, top_p and top_k to what the model accepts."""

from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

_MIN_TOP_P: Final = 0.95
"""The minimum top_p that Claude accepts while thinking."""


def drop_fixed(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop fields for which the model only accepts the default.

    Dropping the default itself changes nothing, so there is no note.
    """
    body = outgoing.body
    defaults = {"temperature": 1, "top_p": profile.default_top_p}
    for name in [name for name in profile.fixed_sampling if name in body]:
        if body[name] != defaults.get(name):
            _drop(outgoing, name, "the model accepts only its default", notes)
        elif not profile.accepts_explicit_defaults:
            del body[name]


def drop_while_thinking(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop the fields that Claude does not accept together with thinking."""
    body = outgoing.body
    if not outgoing.thinks:
        return
    for name in ("temperature", "top_k"):
        if name in body and not (name == "temperature" and body[name] == 1):
            _drop(outgoing, name, "Claude does not accept it with thinking", notes)
    top_p = body.get("top_p")
    if isinstance(top_p, int | float) and top_p < _MIN_TOP_P:
        _drop(outgoing, "top_p", "Claude does not accept less than 0.95 with thinking", notes)


def drop_top_p(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop top_p if temperature is also set and the model does not accept both."""
    if {"temperature", "top_p"} <= outgoing.body.keys():
        _drop(outgoing, "top_p", "the model does not accept it with temperature", notes)


def lower_temperature(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Lower a temperature on OpenAI's scale to Claude's maximum."""
    highest, temperature = profile.max_temperature, outgoing.body.get("temperature")
    if highest is None or not isinstance(temperature, int | float) or temperature <= highest:
        return
    outgoing.body["temperature"] = highest
    name = outgoing.fields.shown("temperature")
    notes.append(f"changed {name} from {temperature} to {highest}: the maximum for Claude")


def _drop(outgoing: OutgoingBody, name: str, reason: str, notes: list[str]) -> None:
    del outgoing.body[name]
    notes.append(f"dropped {outgoing.fields.shown(name)}: {reason}")
