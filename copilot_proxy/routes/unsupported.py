"""Explains why some parts of the vendors' APIs are missing here, and what to use instead."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import RequestError

_STORES_NO_FILES: Final = (
    "Neither Copilot nor this server stores files.",
    "Send the content of the file with the request that needs it.",
)
_NO_ASSISTANTS: Final = (
    "Neither Copilot nor this server runs assistants.",
    "Use /v1/responses, with `previous_response_id` to continue a conversation.",
)
_FACTS: Final[Mapping[str, tuple[str, str]]] = {
    "assistants": _NO_ASSISTANTS,
    "audio": (
        "Copilot has no models for speech.",
        "Use another service to turn speech into text, or text into speech.",
    ),
    "batches": (
        "Copilot does not support batches: each request is answered right away, at full price.",
        "Send the requests one by one.",
    ),
    "cached_contents": (
        "Copilot caches prompts automatically and has no caches to create.",
        "Send the whole prompt with each request.",
    ),
    "complete": ("Anthropic's Text Completions API is not supported.", "Use /v1/messages."),
    "containers": (
        "Neither Copilot nor this server runs code.",
        "Offer a function that runs the code in the client.",
    ),
    "conversations": (
        "This server has no Conversations API.",
        "Use `previous_response_id` in /v1/responses to continue a conversation.",
    ),
    "evals": ("Copilot does not evaluate models.", "Use a program that runs evaluations."),
    "files": _STORES_NO_FILES,
    "fine_tuning": ("Copilot's models cannot be fine-tuned.", "Put examples in the prompt."),
    "images": ("Copilot's models do not make images.", "Use another service for images."),
    "interactions": (
        "This server has no Interactions API.",
        "Use /v1beta/models/MODEL:generateContent, and send the whole conversation.",
    ),
    "moderations": (
        "Copilot has no moderation model.",
        "Use another service, or turn the check off in the client.",
    ),
    "realtime": ("Copilot has no models for live speech.", "Use another service for speech."),
    "rerank": (
        "Copilot has no model that ranks documents.",
        "Compare their vectors from /v1/embeddings.",
    ),
    "skills": (
        "Copilot has no skills.",
        "Put the instructions in the prompt and offer tools that the client runs.",
    ),
    "threads": _NO_ASSISTANTS,
    "uploads": _STORES_NO_FILES,
    "vector_stores": (
        "Neither Copilot nor this server stores vectors.",
        "Create them with /v1/embeddings and store them in the client.",
    ),
    "videos": ("Copilot's models do not make videos.", "Use another service for videos."),
}
"""First segment of the path -> what is missing, and what to do instead."""
_NAMES: Final = {
    "messages/batches": "batches",
    "cachedContents": "cached_contents",
    "tunedModels": "fine_tuning",
    "upload/files": "files",
}
"""The first one or two segments of other paths -> the part of the API that they belong to."""
_VERSIONS: Final = ("v1", "v1beta", "v1alpha")
_SUFFIX: Final = "_not_supported"
"""The end of the error codes, which begin with the name of what is missing."""


def not_supported(path: str) -> RequestError | None:
    """Return the error for a path of an unsupported API, or None for other paths."""
    parts = [part for part in path.split("/") if part and part not in _VERSIONS]
    first = parts[0] if parts else ""
    name = _NAMES.get("/".join(parts[:2])) or _NAMES.get(first, first)
    if name not in _FACTS:
        return None
    message, hint = _FACTS[name]
    return RequestError(message, status=404, code=f"{name}{_SUFFIX}", hint=hint)
