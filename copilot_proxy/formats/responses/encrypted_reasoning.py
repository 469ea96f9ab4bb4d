"""Labels encrypted reasoning with the API that produced it, so that no other API receives it.

In chat messages, the labeled reasoning is in `reasoning_opaque`: ``responses:A B`` is the encrypted
content of two Responses items, ``messages:A`` is one of Anthropic's signatures, and reasoning from
the chat API itself has no label. In Responses items, the reasoning is in `encrypted_content`.
There, the Responses API's own reasoning has no label, and reasoning from the chat API has the label
``chat:``.
"""

from copilot_proxy.formats.reasoning_labels import CHAT_LABEL, OTHER_APIS, RESPONSES_LABEL


def tag_of(opaque: str) -> str:
    """Return the label at the start of an opaque value, or "" if there is none."""
    return next((tag for tag in OTHER_APIS if opaque.startswith(tag)), "")


def opaque_piece(encrypted: str, *, first: bool) -> str:
    """Return `encrypted` as a part of an opaque value; only the first part has the label.

    Returns "" if `encrypted` contains whitespace, because spaces separate the parts.
    """
    if encrypted.split() != [encrypted]:
        return ""
    return f"{RESPONSES_LABEL if first else ' '}{encrypted}"


def encrypted_contents(opaque: object) -> list[str]:
    """Return the encrypted contents in an opaque value, or [] if another API produced them."""
    if not isinstance(opaque, str) or not opaque.startswith(RESPONSES_LABEL):
        return []
    return [part for piece in opaque.split() if (part := piece.removeprefix(RESPONSES_LABEL))]


def to_client(opaque: str, tag: str) -> str:
    """Return an opaque value as `encrypted_content`.

    A value without a label gets the label `tag`, or ``chat:`` if `tag` is empty.
    """
    text = opaque.strip()
    if tag_of(text):
        return text
    return f"{tag or CHAT_LABEL}{text}"


def from_client(encrypted: str) -> str:
    """Return the opaque value for a client's `encrypted_content`."""
    if encrypted.startswith(CHAT_LABEL):
        return encrypted.removeprefix(CHAT_LABEL)
    return encrypted if tag_of(encrypted) else f"{RESPONSES_LABEL}{encrypted}"


def join_opaque(first: str, second: str) -> str:
    """Join two opaque values of a message, or return the second if they are from different APIs."""
    if not first or tag_of(first) != tag_of(second):
        return second
    tag = tag_of(second)
    return f"{first} {second.removeprefix(tag)}" if tag else first + second


def responses_contents(encrypted: str) -> list[str]:
    """Return the parts of a client's `encrypted_content` that are from the Responses API."""
    return encrypted_contents(from_client(encrypted))
