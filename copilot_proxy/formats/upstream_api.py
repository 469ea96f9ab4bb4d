"""The protocol of an API as Copilot serves it; each API's folder implements it in `api.py`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.translators import StreamTranslator
from copilot_proxy.formats.types import ChatRequest, ClientRequest, UpstreamBody


def is_same_api(client: object, upstream: object) -> bool:
    """Return whether a `ClientApi` and an `UpstreamApi` are the same API, and thus the same
    object."""
    return client is upstream


class NativePassage(Protocol):
    """Passes requests and responses through if the client and the model use the same API."""

    def body(
        self,
        request: ClientRequest,
        model: Model | None,
        notes: list[str],
        kinds: Kinds | None = None,
    ) -> AdaptedBody:
        """Return the request, changed only where the model requires it. Raises `RequestError`.

        `kinds` are the types and fields in the conversation, if already known.
        """
        ...

    def translator(
        self,
        request: ClientRequest,
        tool_names: Mapping[str, str],
        request_id: str,
        *,
        is_replaced: bool = False,
    ) -> StreamTranslator:
        """Return the translator for the response.

        `is_replaced` is True if another model answers than the client named, which the response
        must not show.
        """
        ...


class UpstreamApi(Protocol):
    """An API through which models are called."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str | None:
        """Copilot's path for the API, as in the catalogue; None if requests go elsewhere."""
        ...

    @property
    def native(self) -> NativePassage | None:
        """The pass-through for clients of the same API, or None if none is needed."""
        ...

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        """Return the stop sequences that can be sent to `model` on this API."""
        ...

    def accepts_documents(self, model: Model | None) -> bool:
        """Return whether PDFs can be sent to `model` on this API; True if unknown."""
        ...

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
        """Translate a Chat Completions request to the body for `model`. Raises `RequestError`."""
        ...

    def headers(
        self, body: UpstreamBody, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        """Return the headers that the API requires.

        `betas` are the values of the client's ``anthropic-beta`` headers.
        """
        ...

    def with_cache_key(self, body: UpstreamBody, session: str | None) -> UpstreamBody:
        """Return `body` with a key for the conversation's cached prompt, if the API has such keys.

        `session` is the client's session, if known.
        """
        ...

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
        custom_tools: Collection[str] = (),
        used_ids: Collection[str] = (),
    ) -> StreamTranslator:
        """Return a translator from Copilot's response to Chat Completions chunks.

        `model` is the model name that the client sent. `tool_names` maps the names of renamed
        tools, as sent to the model, to the client's names. `custom_tools` are the names of the
        client's custom tools, which may have been replaced with functions with the same names.
        `used_ids` are the ids of the conversation's tool calls.
        """
        ...
