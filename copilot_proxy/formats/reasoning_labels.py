"""The labels of encrypted reasoning, which name the API that made it.

They are written before the encrypted text, so that it is sent back to that API only.
"""

from typing import Final

RESPONSES_LABEL: Final = "responses:"
MESSAGES_LABEL: Final = "messages:"
CHAT_LABEL: Final = "chat:"
"""Only in the formats of other APIs: in chat messages, the chat API's own has no label."""
OTHER_APIS: Final = (RESPONSES_LABEL, MESSAGES_LABEL)
"""The labels that chat messages can have."""
LABELS: Final = (*OTHER_APIS, CHAT_LABEL)


def label_of(text: str) -> str:
    """Return the label that a text begins with, or an empty string."""
    return next((label for label in LABELS if text.startswith(label)), "")
