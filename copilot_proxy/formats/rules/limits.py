"""The limit of the answer: under the name, and between the bounds, that a model takes."""

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def rename_limit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Puts the limit under the one name of two that the model takes."""
    wanted, given, body = profile.limit_field, outgoing.limit_field, outgoing.body
    if wanted is None or given is None:
        return
    # Of two limits the newer name's counts; `limit_fields` begins with it.
    value = body[given]
    others = [name for name in outgoing.limit_fields if name != wanted and name in body]
    for name in others:
        del body[name]
        notes.append(f"renamed {name}: {wanted}")
    body[wanted] = value


def drop_invalid_limit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Leaves out a limit of 0 or less, with which many clients ask for none."""
    limit, name = outgoing.limit, outgoing.limit_field
    if name is not None and limit is not None and limit < 1:
        del outgoing.body[name]
        notes.append(f"dropped {name}: {limit} is no limit")


def set_default(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Sets a limit for Claude, whose answers may end early without one."""
    if profile.default_output is None or outgoing.limit_field is not None:
        return
    limit = default_limit(profile, streams=outgoing.body.get("stream") is True)
    outgoing.body[profile.limit_field or outgoing.limit_fields[0]] = limit


def default_limit(profile: ModelProfile, *, streams: bool) -> int | None:
    """The limit for a client that sets none; None if none is set."""
    return profile.default_output if streams else profile.default_unstreamed_output


def raise_to_minimum(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Raises the limit to the least that is taken."""
    limit, least, name = outgoing.limit, profile.min_output, outgoing.limit_field
    if name is not None and limit is not None and least is not None and limit < least:
        outgoing.body[name] = least
        notes.append(f"changed {name}: {limit} to {least}, the least there is")


def lower_to_maximum(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Lowers the limit to the highest that the model takes."""
    limit, most, name = outgoing.limit, profile.max_output, outgoing.limit_field
    if name is not None and limit is not None and most is not None and limit > most:
        outgoing.body[name] = most
        notes.append(f"changed {name}: {limit} to {most}, the model's limit")


def stream_long_responses(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Asks for a stream where only that may be so long; a client that wants none gets its answer
    whole all the same."""
    limit = outgoing.limit
    if profile.max_unstreamed_output is not None and limit is not None and limit > profile.max_unstreamed_output:
        outgoing.body["stream"] = True
