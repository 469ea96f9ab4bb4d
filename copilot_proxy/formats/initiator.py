"""Who caused a request, the user or an agent: the value of ``X-Initiator``."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from copilot_proxy.headers import Initiator

TurnKind = Literal["user", "results", "agent", "aside"]
"""The kind of a message: the user's own words (``user``), tool results (``results``), anything else
from the agent (``agent``), or a reminder that the client added as a user message (``aside``)."""

_ASIDE: Final = re.compile(
    # Possessive and atomic groups keep the time linear for text that does not match.
    r"\s*+(?:<system-reminder>(?>.*?</system-reminder>)\s*+)*+",
    re.DOTALL,
)


def initiator_of(turns: Iterable[TurnKind | None]) -> Initiator:
    """Return who caused a request, from the kinds of its messages, latest first.

    The result is ``user`` if and only if the last turn is the user's own. None stands for
    instructions and tool lists. They are skipped, because clients also put them after the user's
    words. An ``aside`` directly after tool results belongs to them; any other counts as the user's
    own words. A request without any turns is also the user's. Plans with premium requests only
    charge for ``user``, so the value must always be truthful.
    """
    aside = False
    for turn in turns:
        if turn == "aside":
            aside = True
        elif turn == "agent":
            return "user" if aside else "agent"
        elif turn is not None:
            return "agent" if turn == "results" else "user"
    return "user"


def user_turn(content: object) -> TurnKind:
    """Return the kind of a message with the role ``user``; `content` is a string or list of parts.

    The kind is ``user`` if the content has an image, a file, or text outside of
    ``<system-reminder>`` tags, otherwise ``aside``.
    """
    if isinstance(content, list):
        return "user" if any(map(_is_user_content, content)) else "aside"
    return "user" if _ASIDE.fullmatch(str(content or "")) is None else "aside"


def _is_user_content(part: dict[str, object]) -> bool:
    if part.get("type") not in ("text", "input_text"):
        return True
    return _ASIDE.fullmatch(str(part.get("text") or "")) is None
