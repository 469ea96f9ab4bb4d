"""Prepares a client's request for the model, on one of Copilot's APIs, and the way back.

See `formats.api` for the steps.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.api import (
    ChatWriter,
    ClientApi,
    StreamTranslator,
    UpstreamApi,
    is_same_api,
)
from copilot_proxy.formats.apis import choose
from copilot_proxy.formats.reasoning_cache import ReasoningCache, ReasoningRecorder
from copilot_proxy.headers import Initiator

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PreparedRequest:
    """A request as Copilot gets it, and what makes the client's answer of Copilot's."""

    api: UpstreamApi
    body: Json
    headers: dict[str, str]
    """Those that belong to the API."""
    initiator: Initiator
    """Who asked: the user, or an agent that goes on by itself."""
    translator: StreamTranslator
    notes: list[str]
    """What was changed on the way and may matter to the client."""


def prepare(
    client: ClientApi,
    request: Json,
    model: Model | None,
    cache: ReasoningCache,
    *,
    only: UpstreamApi | None = None,
    refused: Collection[UpstreamApi] = (),
    betas: Collection[str] = (),
    request_id: str = "",
) -> PreparedRequest:
    """A checked request of `client`, to be sent to `model`.

    `model` is None when the catalogue could not be read. `only` is the one API that there is, if
    there is only one; `refused` are those that turned out not to serve the model. Raises
    `RequestError` for what cannot be asked there.
    """
    notes: list[str] = []
    api = only or choose(client, model, refused)
    translator: StreamTranslator
    if api.native is not None and is_same_api(client, api):
        fitted = api.native.body(request, model, notes)
        translator = api.native.translator(request, fitted.tool_names, request_id)
    else:
        name, vendor = (model.id, model.vendor) if model is not None else (request["model"], None)
        chat = client.to_chat(request, notes)
        chat = {**chat, "messages": cache.restore(name, chat["messages"], vendor)}
        fitted = api.from_chat(chat, model, notes)
        translator = api.reader(
            request["model"],
            include_usage=client.wants_usage(request),
            recorder=ReasoningRecorder(cache, name, vendor),
            tool_names=fitted.tool_names,
        )
        if (writer := client.writer(request)) is not None:
            translator = Pipeline(translator, writer)
    return PreparedRequest(
        api=api,
        body=fitted.body,
        headers=api.headers(fitted.body, betas, notes),
        initiator=client.initiator(request),
        translator=translator,
        notes=notes,
    )


class Pipeline:
    """A `StreamTranslator` of two: Copilot's events to chunks, and those to the client's events."""

    failure: CopilotProxyError | None = None
    is_complete = False

    def __init__(self, reader: StreamTranslator, writer: ChatWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.whole = writer.whole
        self.fail = writer.fail

    @property
    def usage(self) -> Json | None:
        """Copilot's token counts so far, in the shape of chat completions."""
        return self._reader.usage

    @property
    def copilot_usage(self) -> Json | None:
        """What GitHub charges, as far as it has been said."""
        return self._reader.copilot_usage

    @property
    def is_finished(self) -> bool:
        """Whether the model has said that it is done."""
        return self._reader.is_finished

    @property
    def has_ended(self) -> bool:
        """Whether the last event of Copilot's has come."""
        return self._reader.has_ended

    def feed(self, data: object) -> list[Json]:
        """The client's events of one of Copilot's."""
        write = self._writer.feed
        return [event for chunk in self._reader.feed(data) for event in write(chunk)]

    def close(self) -> list[Json]:
        """The client's last events."""
        write = self._writer.feed
        events = [event for chunk in self._reader.close() for event in write(chunk)]
        return [*events, *self._writer.close()]
