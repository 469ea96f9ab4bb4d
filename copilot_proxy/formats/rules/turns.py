"""Adapts the order of a conversation: its first, last and consecutive messages."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

BEGIN: Final = "Please begin."
CONTINUE: Final = "Please continue."
"""The text added as a user message, the same as in GitHub's Copilot client."""


def merge_consecutive_assistants(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Merge consecutive assistant messages."""
    count = outgoing.merge_consecutive_assistants()
    notes += ["merged consecutive assistant messages"] * count


def add_first_user_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Prepend a user message if the conversation starts with an assistant message."""
    turns = outgoing.turns
    first = next((i for i, turn in enumerate(turns) if outgoing.role(turn) != "system"), None)
    if first is not None and outgoing.role(turns[first]) == "assistant":
        outgoing.turns = [*turns[:first], outgoing.user(BEGIN), *turns[first:]]
        notes.append(f"added a user message ({BEGIN}): Claude requires one at the start")


def add_last_user_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Add a user message if the last one is the assistant's, or if there are only instructions."""
    roles = (outgoing.role(turn) for turn in reversed(outgoing.turns))
    last = next((role for role in roles if role != "system"), None)
    if last == "assistant" or (last is None and outgoing.has_instructions):
        outgoing.turns = [*outgoing.turns, outgoing.user(CONTINUE)]
        notes.append(
            f"added a user message ({CONTINUE}): Copilot does not continue assistant messages"
        )


def add_only_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Add a user message if there are only instructions."""
    if outgoing.has_instructions and all(
        outgoing.role(turn) == "system" for turn in outgoing.turns
    ):
        outgoing.turns = [*outgoing.turns, outgoing.user(CONTINUE)]
        notes.append(f"added a user message ({CONTINUE}): the model requires one")


def check(outgoing: OutgoingBody) -> None:
    """Raise `RequestError` if the conversation is empty."""
    if not outgoing.body[outgoing.turns_key]:
        field = outgoing.fields.conversation
        verb = "contain" if field.endswith("s") else "contains"
        raise RequestError(f"The {field} {verb} nothing to answer.", param=field)
