"""Packs encrypted reasoning into ``thoughtSignature``, and unpacks it.

A thought signature can hold any bytes, as base64. Here, it contains the encrypted reasoning with
the label of the API that produced it (`formats.reasoning_labels`), a line break, and the text of
the reasoning. Some models need that text back unchanged, but clients drop the parts that show it.
"""

import base64
import binascii
from typing import NamedTuple

from copilot_proxy.formats.base64_data import standard_base64
from copilot_proxy.formats.reasoning_labels import CHAT_LABEL, label_of


class Reasoning(NamedTuple):
    """The reasoning of an answer, as in a chat message."""

    text: str
    opaque: str


def seal(reasoning: Reasoning) -> str:
    """Return `reasoning` as a thought signature."""
    opaque = reasoning.opaque if label_of(reasoning.opaque) else CHAT_LABEL + reasoning.opaque
    content = f"{opaque}\n{reasoning.text}" if reasoning.text else opaque
    return base64.b64encode(content.encode("utf-8", "surrogatepass")).decode()


def unseal(signature: str) -> Reasoning | None:
    """Return the reasoning in a thought signature, or None if it is not from this server."""
    try:
        # SDKs decode the base64 and encode it again in the URL-safe alphabet.
        content = base64.b64decode(standard_base64(signature), validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, ValueError):
        return None
    opaque, _, text = content.partition("\n")
    if not (label := label_of(opaque)):
        return None
    return Reasoning(text, opaque.removeprefix(CHAT_LABEL) if label == CHAT_LABEL else opaque)
