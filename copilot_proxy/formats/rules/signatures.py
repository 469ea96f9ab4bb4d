"""Converts tool calls from other models to text, for models that accept only their own calls."""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def replace_unsigned(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Convert to text any calls in the current turn that the model has not signed.

    Such calls occur if the user switches models in the middle of a turn, or if a client has lost
    the signatures.
    """
    if outgoing.replace_unsigned_calls():
        notes.append(
            "changed the current turn's tool calls to text: the model accepts only its own, "
            "with their signatures"
        )
