"""Labels sealed reasoning with where it comes from, so that it only ever goes back there.

In the hub it is `reasoning_opaque`: ``responses:A B`` for the encrypted contents of two items of
the Responses API, ``messages:A`` for Anthropic's signatures, and no label for what the chat API
itself gave. To a client of the Responses API it is `encrypted_content`: there the Responses API's
own has no label, and the chat API's has ``chat:``.
"""

from typing import Final

RESPONSES: Final = "responses:"
MESSAGES: Final = "messages:"
_CHAT: Final = "chat:"


def tag_of(opaque: str) -> str:
    """The label that a hub value begins with, or none."""
    return next((tag for tag in (RESPONSES, MESSAGES) if opaque.startswith(tag)), "")


def seal(encrypted: str, *, first: bool) -> str:
    """The piece of a hub value that carries one encrypted content; the first has the label.

    Empty for one with blanks inside: blanks keep the contents apart, and real ones have none.
    """
    if encrypted.split() != [encrypted]:
        return ""
    return f"{RESPONSES if first else ' '}{encrypted}"


def unseal(opaque: object) -> list[str]:
    """The encrypted contents of a hub value; none if another API sealed it."""
    if not isinstance(opaque, str) or not opaque.startswith(RESPONSES):
        return []
    return [part for piece in opaque.split() if (part := piece.removeprefix(RESPONSES))]


def to_client(opaque: str, tag: str) -> str:
    """A hub value, or a later piece of one labelled `tag`, as a client's `encrypted_content`."""
    text = opaque.strip()
    if tag_of(text):
        return text
    return f"{tag or _CHAT}{text}"


def from_client(encrypted: str) -> str:
    """The hub value of a client's `encrypted_content`."""
    if encrypted.startswith(_CHAT):
        return encrypted.removeprefix(_CHAT)
    return encrypted if tag_of(encrypted) else f"{RESPONSES}{encrypted}"


def join(one: str, other: str) -> str:
    """Two hub values of one message as one; of two sealed by different APIs, the later."""
    if not one or tag_of(one) != tag_of(other):
        return other
    tag = tag_of(other)
    return f"{one} {other.removeprefix(tag)}" if tag else one + other


def native(encrypted: str) -> list[str]:
    """The contents that the Responses API itself takes back; none if another API sealed them."""
    return unseal(from_client(encrypted))
