"""Temperature, top_p and top_k, as far as a model takes them."""

from typing import Any, Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

_LEAST_TOP_P: Final = 0.95
"""What Claude takes at least while it thinks."""


def drop_fixed(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops what the model has only a default for; where that is said, it is not worth a note."""
    body = outgoing.body
    for name in [name for name in profile.fixed_sampling if name in body]:
        if body[name] != 1 or name == "top_k":
            _drop(body, name, "the model takes only its default", notes)
        elif not profile.accepts_explicit_defaults:
            del body[name]


def drop_while_thinking(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops what Claude does not take while it thinks."""
    body = outgoing.body
    if profile.samples_while_thinking or not outgoing.thinks:
        return
    for name in ("temperature", "top_k"):
        if name in body and not (name == "temperature" and body[name] == 1):
            _drop(body, name, "Claude does not take it while it thinks", notes)
    top_p = body.get("top_p")
    if isinstance(top_p, int | float) and top_p < _LEAST_TOP_P:
        _drop(body, "top_p", "Claude does not take less than 0.95 while it thinks", notes)


def drop_top_p(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops top_p beside temperature where the model takes one of them alone."""
    if profile.one_of_temperature_and_top_p and {"temperature", "top_p"} <= outgoing.body.keys():
        _drop(outgoing.body, "top_p", "the model does not take it beside temperature", notes)


def lower_temperature(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Lowers a temperature of OpenAI's scale to the highest that Claude has."""
    most, asked = profile.max_temperature, outgoing.body.get("temperature")
    if most is not None and isinstance(asked, int | float) and asked > most:
        outgoing.body["temperature"] = most
        notes.append(f"changed temperature: {asked} to {most}, the most that Claude takes")


def _drop(body: dict[str, Any], name: str, reason: str, notes: list[str]) -> None:
    del body[name]
    notes.append(f"dropped {name}: {reason}")
