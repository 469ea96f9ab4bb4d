"""Normalizes the paths of requests, because users and clients write base URLs in many ways."""

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from copilot_proxy.attribution import MAX_NAME_LENGTH
from copilot_proxy.formats.apis import COPILOT_APIS
from copilot_proxy.formats.client_paths import COMPLETIONS_PATH, GEMINI_METHODS, is_ollama

_CHAT_PATHS: Final = (COMPLETIONS_PATH, *(api.client_path for api in COPILOT_APIS))
_FIRST_PARTS: Final = {
    "models",
    "embeddings",
    *(path.split("/")[2] for path in _CHAT_PATHS),
}
"""The segments that may come right after the version in a path."""
_ENCODED_SLASH: Final = b"%2f"
_GEMINI_VERSIONS: Final = ("v1beta", "v1alpha")
_VERSIONS: Final = ("v1", *_GEMINI_VERSIONS)
_GEMINI_METHODS: Final = tuple(f":{name}" for name in GEMINI_METHODS)


class BasePath(NamedTuple):
    """A path, and the parts split off its start, which name the sender of the request."""

    path: str
    client: str | None = None
    project: str | None = None
    session: str | None = None


@lru_cache(maxsize=32)  # a client only uses a few paths
def split_base(path: str, raw_path: bytes = b"") -> BasePath:
    """Split ``/c/CLIENT`` off the start of `path`, and ``/p/PROJECT`` and ``/s/SESSION`` if they
    follow.

    `raw_path` is the same path as encoded by the client, since a name may contain a slash as
    ``%2F``.
    """
    if _ENCODED_SLASH in raw_path.lower():
        parts = [unquote(part) for part in raw_path.decode("latin-1").split("/") if part]
    else:
        parts = [part for part in path.split("/") if part]
    if len(parts) < 2 or parts[0] != "c" or not _is_name(parts[1]):
        return BasePath(path)
    client, rest = parts[1], parts[2:]
    named: dict[str, str] = {}
    for letter in ("p", "s"):
        if len(rest) > 1 and rest[0] == letter and _is_name(rest[1]):
            named[letter], rest = rest[1], rest[2:]
    return BasePath("/" + "/".join(rest), client, named.get("p"), named.get("s"))


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME_LENGTH and text.isprintable()


@lru_cache(maxsize=32)
def normalize_path(path: str) -> str:
    """Return `path` without ``//`` or a trailing slash; an API's path gets exactly one version.

    The version is ``/v1``, or ``/v1beta`` for the Gemini API. Clients may also call Gemini's
    methods on ``/v1``. Ollama's paths start with a single ``/api`` instead. Versions in any other
    path are left alone.
    """
    parts = [part for part in path.split("/") if part]
    first = next((i for i, part in enumerate(parts) if part not in _VERSIONS), len(parts))
    rest = parts[first:]
    if rest[:1] == ["api"]:
        own = "/api/" + "/".join(part for part in rest if part != "api")
        if is_ollama(own):
            return own
    if rest and rest[0] in _FIRST_PARTS:
        is_gemini = rest[0] == "models" and (
            rest[-1].endswith(_GEMINI_METHODS)
            or any(part in _GEMINI_VERSIONS for part in parts[:first])
        )
        return ("/v1beta/" if is_gemini else "/v1/") + "/".join(rest)
    return "/" + "/".join(parts)
