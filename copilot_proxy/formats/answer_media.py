"""The content of assistant messages with images or documents, in the format of Chat Completions."""

from copilot_proxy.formats.types import Json


def answer_content(text: str, media: list[Json]) -> str | list[Json] | None:
    """Return the content of an assistant message with this text and these parts, or None if it has
    neither. The rule `turns.media` moves the parts to a user message."""
    if not media:
        return text or None
    return [{"type": "text", "text": text}, *media] if text else media
