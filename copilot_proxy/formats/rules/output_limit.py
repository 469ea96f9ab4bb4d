"""Adapts the output limit to the name and range that the model accepts."""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def drop_invalid_limit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop a limit of 0 or less, which many clients send to mean no limit."""
    for name in outgoing.limit_fields:
        limit = outgoing.body.get(name)
        if type(limit) is int and limit < 1:
            shown = outgoing.fields.limit or name
            del outgoing.body[name]
            notes.append(f"dropped {shown}: {limit} is not a valid limit")


def rename_limit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Rename the limit if the model accepts only one of its two names."""
    name, current, body = profile.limit_field, outgoing.limit_field, outgoing.body
    if name is None or current is None:
        return
    # If there are two limits, the newer name takes precedence; it comes first in `limit_fields`.
    limit = body[current]
    others = [other for other in outgoing.limit_fields if other != name and other in body]
    for other in others:
        del body[other]
        if not outgoing.is_translated:
            notes.append(f"renamed {other} to {name}")
    body[name] = limit


def set_default(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Set a limit for Claude, whose output may otherwise be cut short."""
    if profile.default_output is None or outgoing.limit_field is not None:
        return
    streams = outgoing.body.get("stream") is True
    limit = profile.default_output if streams else profile.default_unstreamed_output
    outgoing.body[profile.limit_field or outgoing.limit_fields[0]] = limit


def raise_to_minimum(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Raise the limit to the minimum that the model accepts."""
    limit, lowest, name = outgoing.limit, profile.min_output, outgoing.limit_field
    if name is not None and limit is not None and lowest is not None and limit < lowest:
        outgoing.body[name] = lowest
        notes.append(f"changed {outgoing.shown_limit} from {limit} to {lowest}: the minimum")


def lower_to_maximum(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Lower the limit to the maximum that the model accepts."""
    limit, highest, name = outgoing.limit, profile.max_output, outgoing.limit_field
    if name is not None and limit is not None and highest is not None and limit > highest:
        outgoing.body[name] = highest
        notes.append(f"changed {outgoing.shown_limit} from {limit} to {highest}: the model's limit")


def stream_long_responses(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Request a stream if the limit is too high for a whole response.

    A client that does not stream still receives a whole response.
    """
    limit, highest = outgoing.limit, profile.max_unstreamed_output
    if profile.streams and highest is not None and limit is not None and limit > highest:
        outgoing.body["stream"] = True
