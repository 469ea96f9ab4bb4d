"""Drops stop sequences that the model does not accept."""

from copilot_proxy.formats.profiles import ModelProfile
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


def drop_surplus(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop the stop sequences that exceed the accepted number."""
    stops, max_stops = outgoing.stops, profile.max_stops
    if max_stops is not None and len(stops) > max_stops:
        outgoing.body[outgoing.stop_field] = stops[:max_stops]
        notes.append(f"dropped stop sequences: the model accepts only the first {max_stops}")
