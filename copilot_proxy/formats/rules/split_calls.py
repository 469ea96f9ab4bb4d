"""Splits messages that have more tool calls than Copilot accepts per message.

Models write such messages, but Copilot refuses them when they are sent back.
"""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def split(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Split each message with too many calls into several, each followed by the results of its
    calls.

    The results must already follow their calls in order.
    """
    if profile.max_calls is None:
        return
    for segment in outgoing.split_calls(profile.max_calls):
        where = outgoing.location(segment.message_index)
        notes.append(
            f"split an assistant message with {len(segment.ids)} tool calls, since Copilot accepts "
            f"at most {profile.max_calls} in one message{where}"
        )
