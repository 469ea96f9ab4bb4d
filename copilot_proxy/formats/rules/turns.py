"""Whose words a conversation begins and ends with, and whose stand beside each other."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

BEGIN: Final = "Please begin."
CONTINUE: Final = "Please continue."
"""Said for the user; Copilot's own client says the same."""


def merge_consecutive_assistants(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Makes one message of neighbouring ones of the assistant's."""
    if not profile.consecutive_assistants:
        notes += ["merged neighbouring assistant messages"] * outgoing.merge_consecutive_assistants()


def add_first_user_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Begins a conversation with words of the user's."""
    if profile.may_begin_with_assistant:
        return
    turns = outgoing.turns
    first = next((i for i, turn in enumerate(turns) if outgoing.role(turn) != "system"), None)
    if first is not None and outgoing.role(turns[first]) == "assistant":
        outgoing.turns = [*turns[:first], outgoing.user(BEGIN), *turns[first:]]
        notes.append(f"added a user message ({BEGIN}): Claude's conversations begin with one")


def add_last_user_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Ends a conversation with words of the user's, also one of nothing but instructions."""
    if profile.may_end_with_assistant:
        return
    roles = (outgoing.role(turn) for turn in reversed(outgoing.turns))
    last = next((role for role in roles if role != "system"), None)
    if last == "assistant" or (last is None and outgoing.has_instructions):
        outgoing.turns = [*outgoing.turns, outgoing.user(CONTINUE)]
        notes.append(f"added a user message ({CONTINUE}): Copilot takes no beginning of an answer")


def check(outgoing: OutgoingBody) -> None:
    """Raises `RequestError` when nothing is left to answer."""
    if not outgoing.body[outgoing.turns_key]:
        field = outgoing.conversation_field
        holds = "hold" if field.endswith("s") else "holds"
        raise RequestError(f"The {field} {holds} nothing to answer.", param=field)
