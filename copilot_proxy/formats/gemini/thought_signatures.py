"""Packs encrypted reasoning into ``thoughtSignature``, and unpacks it.

A thought signature is base64 of any bytes. Here, they are the encrypted reasoning with the label of
the API that made it (`formats.reasoning_labels`), and after a line break the text of the reasoning:
some models need it back unchanged, and clients drop the parts that show it.
"""

import base64
import binascii
from typing import Final, NamedTuple

from copilot_proxy.formats.reasoning_labels import CHAT_LABEL, label_of

_STANDARD: Final = str.maketrans("-_", "+/")
"""SDKs decode the base64, and write it again with the alphabet for URLs."""


class Reasoning(NamedTuple):
    """The reasoning of one answer, as a chat message has it."""

    text: str
    opaque: str


def seal(reasoning: Reasoning) -> str:
    """Return a thought signature."""
    opaque = reasoning.opaque if label_of(reasoning.opaque) else CHAT_LABEL + reasoning.opaque
    content = f"{opaque}\n{reasoning.text}" if reasoning.text else opaque
    return base64.b64encode(content.encode("utf-8", "surrogatepass")).decode()


def unseal(signature: str) -> Reasoning | None:
    """Return the reasoning in a thought signature; None if this server has not made it."""
    try:
        content = base64.b64decode(standard_base64(signature), validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, ValueError):
        return None
    opaque, _, text = content.partition("\n")
    if not (label := label_of(opaque)):
        return None
    return Reasoning(text, opaque.removeprefix(CHAT_LABEL) if label == CHAT_LABEL else opaque)


def standard_base64(text: str) -> str:
    """Return base64 in the standard alphabet, with padding."""
    text = text.translate(_STANDARD) if "-" in text or "_" in text else text
    return text + "=" * (-len(text) % 4)
