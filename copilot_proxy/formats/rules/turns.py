"""Adapts the sequence of messages: the first, the last, and consecutive ones."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

BEGIN: Final = "Please begin."
CONTINUE: Final = "Please continue."
"""The text of an added user message; GitHub's Copilot client uses the same text."""


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


def move_system_to_front(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move later system messages to the system prompt, for models that accept them nowhere else.
    Each new one then invalidates the prompt cache."""
    if outgoing.move_system_to_front():
        notes.append(
            "moved a later system message to the front: the model does not accept it elsewhere"
        )


def place_system(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move later system messages to positions that the model accepts. The start of the conversation
    stays unchanged, because it is cached."""
    is_moved, added = outgoing.place_system(CONTINUE)
    if is_moved:
        notes.append(
            "moved a system message after the user message that follows it: Claude only accepts it "
            "there"
        )
    if added:
        notes.append(
            f"added a user message ({CONTINUE}): Claude requires one before a system message"
        )


def add_last_user_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Add a user message if the last message is the assistant's, or if there are only
    instructions."""
    roles = (outgoing.role(turn) for turn in reversed(outgoing.turns))
    last = next((role for role in roles if role != "system"), None)
    if last == "assistant" or (last is None and outgoing.has_instructions):
        outgoing.turns = [*outgoing.turns, outgoing.user(CONTINUE)]
        reason = "the model requires one"
        if last is not None:
            reason = "Copilot does not continue assistant messages"
        notes.append(f"added a user message ({CONTINUE}): {reason}")


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
