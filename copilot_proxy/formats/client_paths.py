"""The paths of APIs that are not imported until a client uses them.

Also contains the path of the embeddings API.
"""

from typing import Final

GEMINI_PATH: Final = "/v1beta/models"
GEMINI_HEADER: Final = b"x-goog-api-key"
GEMINI_METHODS: Final = (
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
)
"""The methods that can follow a model and a colon in a path."""
COMPLETIONS_PATH: Final = "/v1/completions"
EMBEDDINGS_PATH: Final = "/v1/embeddings"
OLLAMA_PATHS: Final = frozenset(
    f"/api/{name}"
    for name in (
        *("chat", "generate", "embed", "embeddings", "tags", "show", "ps", "version"),
        *("pull", "push", "create", "copy", "delete"),
    )
)
"""All paths of Ollama's API, except for blobs."""
OLLAMA_BLOBS: Final = "/api/blobs/"


def is_gemini(path: str) -> bool:
    """Return whether `path`, in normalized form, belongs to Google's Gemini API."""
    return path.startswith("/v1beta/")


def is_completions(path: str) -> bool:
    """Return whether `path`, in normalized form, belongs to the Completions API."""
    return path.startswith(COMPLETIONS_PATH)


def is_ollama(path: str) -> bool:
    """Return whether `path`, in normalized form, belongs to Ollama's API."""
    return path in OLLAMA_PATHS or path.startswith(OLLAMA_BLOBS)
