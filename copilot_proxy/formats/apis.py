"""Determines the API that a client speaks, and chooses the Copilot API to send a request to.

If the model lists the client's own API, that API is used, so the request and the response only
need repairs. Otherwise, the first of `UPSTREAM_APIS` that the model lists is used. The catalogue
decides, never the model's name.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.client_paths import (
    EMBEDDINGS_PATH,
    GEMINI_HEADER,
    is_completions,
    is_gemini,
    is_ollama,
)
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.upstream_api import UpstreamApi, is_same_api

COPILOT_APIS: Final = (CHAT_COMPLETIONS, RESPONSES, MESSAGES)
"""The APIs that both clients and Copilot support."""
UPSTREAM_APIS: Final[Sequence[UpstreamApi]] = COPILOT_APIS
"""The order of preference for clients whose own API the model does not list."""


def client_apis() -> Sequence[ClientApi]:
    """Import and return all APIs that clients can use."""
    return (*COPILOT_APIS, _completions(), _ollama(), _gemini())


def client_api(path: str, headers: Mapping[bytes, bytes]) -> ClientApi:
    """Return the API that a client speaks, based on the path or, failing that, on the headers.

    Other clients, such as those that only list models, are treated as OpenAI clients.
    """
    for api in COPILOT_APIS:
        if api.has_path(path):
            return api
    if is_gemini(path):
        return _gemini()
    if is_completions(path):
        return _completions()
    if is_ollama(path):
        return _ollama()
    if path.startswith(EMBEDDINGS_PATH):
        return CHAT_COMPLETIONS
    if MESSAGES.identifying_header in headers:
        return MESSAGES
    return _gemini() if GEMINI_HEADER in headers else CHAT_COMPLETIONS


def _completions() -> ClientApi:
    from copilot_proxy.formats.completions.api import COMPLETIONS

    return COMPLETIONS


def _gemini() -> ClientApi:
    from copilot_proxy.formats.gemini.api import GEMINI

    return GEMINI


def _ollama() -> ClientApi:
    from copilot_proxy.formats.ollama.api import OLLAMA

    return OLLAMA


_DOCUMENT_APIS: Final[Sequence[UpstreamApi]] = (MESSAGES, RESPONSES, CHAT_COMPLETIONS)
"""The order of preference for requests with a PDF; the last API accepts PDFs only as images."""


def choose(
    client: ClientApi,
    model: Model | None,
    refused: Sequence[UpstreamApi] = (),
    *,
    has_pdf: bool = False,
    wants_reasoning: bool = False,
) -> UpstreamApi:
    """Return the API on which to call `model`, for a client that uses the API `client`.

    `refused` are the APIs on which Copilot has refused to serve the model, earliest refusal first.
    With `has_pdf`, APIs on which the model accepts PDFs are preferred. With `wants_reasoning`,
    Messages is preferred, since Chat Completions cannot ask Claude to show its thinking. Among the
    remaining APIs, the client's own is preferred.
    """
    left = _not_refused(client, model, refused)
    if wants_reasoning and model is not None and MESSAGES in left:
        left = [MESSAGES]
    if has_pdf:
        accepting = [api for api in _DOCUMENT_APIS if api in left and api.accepts_documents(model)]
        left = accepting or left
        if left[0] is not CHAT_COMPLETIONS:
            left = [api for api in left if api is not CHAT_COMPLETIONS]
    for api in left:
        if is_same_api(client, api):
            return api
    return left[0]


def _not_refused(
    client: ClientApi, model: Model | None, refused: Sequence[UpstreamApi]
) -> list[UpstreamApi]:
    """Return the APIs that the model lists, except those that Copilot has refused.

    If all were refused, all but the one refused last are returned, because they may work again.
    Without a catalogue, the result is a guess: the client's own API if Copilot supports it,
    otherwise Chat Completions. Models that list no API are called through Chat Completions.
    """
    if model is None:
        listed = [api for api in UPSTREAM_APIS if is_same_api(client, api)]
    else:
        listed = [api for api in UPSTREAM_APIS if api.path in model.endpoints]
    candidates = listed or [CHAT_COMPLETIONS]
    if not refused:
        return candidates
    left = [api for api in candidates if api not in refused]
    if not left and model is not None:
        left = [api for api in candidates if api is not refused[-1]]
    return left or [api for api in UPSTREAM_APIS if api not in refused] or list(UPSTREAM_APIS)
