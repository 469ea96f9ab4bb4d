"""Turns tool calls that another model made into text, for models that accept only their own."""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def replace_unsigned(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Turn the current turn's calls that the model has not signed into text.

    They occur if the user switches models while tools are being called, or if a client has lost
    the signatures.
    """
    if outgoing.replace_unsigned_calls():
        notes.append(
            "changed tool calls of the current turn to text: the model accepts only its own, "
            "with their signatures"
        )
