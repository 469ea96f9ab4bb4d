"""The labels of encrypted reasoning, which name the API that produced it.

A label is prepended to the encrypted text, so that the text is only sent back to that API.
"""

from typing import Final

RESPONSES_LABEL: Final = "responses:"
MESSAGES_LABEL: Final = "messages:"
CHAT_LABEL: Final = "chat:"
"""Only used in the formats of other APIs: in chat messages, the chat API's reasoning has no
label."""
OTHER_APIS: Final = (RESPONSES_LABEL, MESSAGES_LABEL)
"""The labels that chat messages can have."""
LABELS: Final = (*OTHER_APIS, CHAT_LABEL)
CALL_LABEL: Final = "thought_signature:"
"""In chat messages, the label of a signature that Gemini put on its first tool call, rather than on
the message."""


def label_of(text: str) -> str:
    """Return the label at the start of `text`, or "" if there is none."""
    return next((label for label in LABELS if text.startswith(label)), "")
