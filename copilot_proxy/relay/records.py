"""What is known of one request: for the log line, never with a word of what was said."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from copilot_proxy.formats.api import RequestMetrics
from copilot_proxy.headers import Initiator
from copilot_proxy.keys import ApiKey


@dataclass
class RequestContext:
    """One HTTP request; `RequestRecord` knows more about those that ask Copilot."""

    request_id: str
    method: str
    path: str
    """Unquoted, and without the query, which may hold anything."""
    headers: Mapping[bytes, bytes] = field(repr=False)
    """With lower-case names; of those that come several times, the last."""
    key: ApiKey | None = None
    """What the client showed, where a key is asked for."""
    status: int | None = None
    """None until the answer begins."""
    error: str | None = None
    """The code, or the kind, of the failure that the client was told."""
    has_record: bool = False


@dataclass
class RequestRecord:
    """One request, filled in while it is answered."""

    request_id: str
    api: str
    """The client's: ``chat_completions``, ``responses``, ``messages``, ``embeddings``, ..."""
    key: str | None = None
    """The name of the key that the client sent, if it has one."""
    stream: bool = False
    items: int = 0
    """Messages of the conversation, items of a Responses input, or inputs to embed."""
    tools: int = 0
    images: int = 0
    body_bytes: int = 0
    """Of the client's body, unpacked."""
    effort: str | None = None
    """How hard the model is asked to think, in the client's own word."""
    model: str | None = None
    route: str | None = None
    """Copilot's API that was asked."""
    initiator: Initiator | None = None
    status: int = 200
    """What the client was told; 200 also when an answer broke off."""
    error: str | None = None
    """The code, or the kind, of the failure."""
    local: bool = False
    """Whether that was told without asking Copilot, whose refusal still stands."""
    client_gone: bool = False
    """Whether the client left before it had the whole answer."""
    complete: bool = False
    """Whether the last event has been handed out; some clients leave as soon as they have it."""
    first_token: float | None = None
    """Seconds from the request to the first part of the answer."""
    duration: float = 0.0
    usage: dict[str, Any] | None = None
    """In the shape of chat completions, whatever the API."""
    copilot_usage: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter, repr=False)

    def measured(self, metrics: RequestMetrics) -> None:
        """Notes how much of what the request holds."""
        self.items, self.tools, self.images = metrics.items, metrics.tools, metrics.images
        self.effort = metrics.effort if isinstance(metrics.effort, str) else None

    def answered(self) -> None:
        """Notes the moment of the first part of the answer, once."""
        if self.first_token is None:
            self.first_token = time.perf_counter() - self.started

    def failed(self, code: str, status: int) -> None:
        """Notes a failure; the status counts only while nothing has been sent."""
        self.error = code
        if self.first_token is None:
            self.status = status


def new_request_id() -> str:
    """The id of a request, for the client's answer, the log, and Copilot's own logs."""
    return str(uuid.uuid4())
