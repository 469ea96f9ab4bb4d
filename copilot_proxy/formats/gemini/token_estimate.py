"""Collects the text that counts as tokens in a Gemini request; see `formats.token_estimate`."""

from typing import Final

from copilot_proxy.formats.gemini.request import GeminiRequest, all_parts, is_image
from copilot_proxy.formats.token_estimate import (
    DOCUMENT_TOKENS,
    IMAGE_TOKENS,
    CountedFields,
    texts,
)

_FIELDS: Final = CountedFields(
    text=("text", "name", "description"),
    json=("args", "response", "parameters", "parametersJsonSchema"),
    nested=("parts", "functionCall", "functionResponse", "functionDeclarations"),
)


def text_of(request: GeminiRequest) -> str:
    """Return all text of the system instruction, tools and contents, joined by newlines."""
    sections = ("systemInstruction", "tools", "contents")
    return "\n".join(text for section in sections for text in texts(request.get(section), _FIELDS))


def media_tokens(request: GeminiRequest) -> int:
    """Return the estimated number of tokens in images and documents."""
    return sum(
        IMAGE_TOKENS if is_image(part) else DOCUMENT_TOKENS
        for part in all_parts(request)
        if part.get("inlineData") is not None
    )
