"""Stop sequences, as many and of such a kind as a model takes."""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def drop_blank(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops those of nothing but blanks."""
    stops = outgoing.stops
    if profile.accepts_blank_stops or not stops:
        return
    kept = [stop for stop in stops if stop.strip()]
    if len(kept) < len(stops):
        notes.append("dropped a stop of nothing but blanks: Claude refuses such")
        outgoing.body[outgoing.stop_field] = kept
        if not kept:
            del outgoing.body[outgoing.stop_field]


def drop_surplus(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drops those beyond the number that is taken."""
    stops, most = outgoing.stops, profile.max_stops
    if most is not None and len(stops) > most:
        outgoing.body[outgoing.stop_field] = stops[:most]
        notes.append(f"dropped {outgoing.stop_field} beyond {most}: the model takes no more")
