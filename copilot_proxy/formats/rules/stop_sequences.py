"""Drops blank stop sequences, which Claude does not accept.

Applies to requests from clients of the Messages API. For translated requests,
`formats.stop_sequences` ends the answer at stop sequences that cannot be sent.
"""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def drop_blank(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop stop sequences that are only whitespace."""
    stops = outgoing.stops
    if not stops:
        return
    remaining = [stop for stop in stops if stop.strip()]
    if len(remaining) < len(stops):
        notes.append("dropped a blank stop sequence: Claude does not accept it")
        outgoing.body[outgoing.stop_field] = remaining
        if not remaining:
            del outgoing.body[outgoing.stop_field]
