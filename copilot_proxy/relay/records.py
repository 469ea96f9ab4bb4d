"""The data about a request that the log needs: counts and times, never its text."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.attribution import UNATTRIBUTED, Attribution
from copilot_proxy.catalogue import Model
from copilot_proxy.cost.assessment import Cost
from copilot_proxy.cost.estimated_tokens import TOKENS_PER_ANSWER, TOKENS_PER_EVENT
from copilot_proxy.cost.quota import Quota, quota_of
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi, RequestMetrics
from copilot_proxy.formats.drift import Unknown
from copilot_proxy.formats.permanent_errors import has_retryable_number
from copilot_proxy.headers import Initiator

_random: Final = random.Random()  # noqa: S311  # its own, since a library may seed the shared one
_RANDOM: Final = 0xFFFF_0FFF_3FFF_FFFFFFFFFFFF
"""The random bits among the last 96 bits of a UUID."""
_VERSION: Final = 0x0000_4000_8000_000000000000
"""The other bits, which are fixed: version 4, and the variant (RFC 9562)."""


@dataclass(slots=True, weakref_slot=True)
class RequestContext:
    """An HTTP request; if it calls Copilot, it also has a `RequestRecord`."""

    request_id: str
    method: str
    path: str
    """The path, percent-decoded and without the query, which may contain secrets."""
    headers: Mapping[bytes, bytes] = field(repr=False)
    """Name in lowercase -> value; if a header is repeated, its last value."""
    client_api: ClientApi = CHAT_COMPLETIONS
    """The API that the client speaks, judging by its path and headers."""
    simulated: bool = False
    """Whether the server uses the simulator; if so, commands in hints include ``--simulate``."""
    profile: str | None = None
    """The server's profile; commands in hints name it with ``--profile``."""
    named_client: str | None = None
    project: str | None = None
    session: str | None = None
    """The client, project and session named in the base URL, or None."""
    key: ApiKey | None = None
    """The API key that the client sent; None if the server has no keys."""
    status: int | None = None
    """The HTTP status of the response; None until the response starts."""
    error: str | None = None
    """The code of the error that the client received, or its type if it has no code."""
    has_record: bool = False
    """Whether the request has a `RequestRecord`."""


@dataclass(slots=True)
class RequestRecord:
    """A request that may call Copilot; filled in while it is answered."""

    request_id: str
    api: str
    """The client's API: ``chat_completions``, ``responses``, ``messages``, ``embeddings``, ..."""
    client_api: ClientApi = field(default=CHAT_COMPLETIONS, repr=False)
    """The API that the client speaks, which defines the fields of the request."""
    key: str | None = None
    """The name of the API key, if it has one."""
    attribution: Attribution = UNATTRIBUTED
    own_sign_in: bool = False
    """Whether the client used its own GitHub sign-in, so another account may have paid."""
    stream: bool = False
    items: int = 0
    """The number of messages in a conversation, of items in a Responses input, or of inputs to
    embed."""
    noun: str = "msg"
    """The unit of `items`."""
    tools: int = 0
    images: int = 0
    body_bytes: int = 0
    """Size of the client's body in bytes, decompressed."""
    conversation_bytes: int = 0
    """Size of the entire conversation in bytes, if the body refers to earlier parts of it."""
    effort: str | None = None
    """The reasoning effort, in the client's spelling."""
    model: str | None = None
    model_asked: str | None = None
    """The model, as named by the client."""
    model_answered: str | None = None
    """The model, as named in the answer."""
    listed: Model | None = None
    """The model in Copilot's list."""
    route: str | None = None
    """The Copilot API that was called."""
    attempts: int = 0
    """The number of calls to Copilot. There are several after a refusal, or for a long list to
    embed."""
    initiator: Initiator | None = None
    status: int = 200
    """The HTTP status sent to the client, which is 200 if a stream fails after it has started."""
    error: str | None = None
    """The error's code, or its type if it has no code."""
    upstream_status: int | None = None
    """Copilot's HTTP status if it sent an error; 200 if the error was an event of its answer."""
    sent: bool = True
    """False if the call failed before Copilot received any part of it."""
    local: bool = False
    """Whether the error is a refusal repeated without calling Copilot (a cooldown)."""
    client_gone: bool = False
    """Whether the client disconnected before it had received the entire answer."""
    complete: bool = False
    """Whether the last event has been produced, after which some clients disconnect."""
    finished: bool = False
    """Whether the model has finished, so that its token counts are final."""
    finish_reason: str | None = None
    """The reason why the model stopped, as named by Copilot's API or by OpenAI's."""
    first_token: float | None = None
    """Seconds from the request to the first part of the answer."""
    duration: float = 0.0
    """Seconds from the start of the request to its end."""
    usage: dict[str, Any] | None = None
    """Token counts in the format of Chat Completions, for any API."""
    copilot_usage: dict[str, Any] | None = None
    """GitHub's charge, as sent by Copilot."""
    events: int = 0
    """The number of events in Copilot's answer, if it was streamed."""
    tokens_per_event: float = TOKENS_PER_EVENT
    """The average number of output tokens per event, for estimating an incomplete answer."""
    expected_output: float = TOKENS_PER_ANSWER
    """The average number of output tokens in the model's answers, for estimating an answer of which
    nothing arrived."""
    answer_tokens: int = 0
    """The estimated output tokens of an answer that arrived whole and without counts."""
    unmetered: Mapping[str, Any] | None = field(default=None, repr=False)
    """The request, kept briefly to estimate its tokens if the answer ended without counts."""
    prompt: Mapping[str, Any] | None = field(default=None, repr=False)
    """The body that was sent to Copilot, kept briefly to find out which parts of it have changed
    since the previous request."""
    estimated_prompt: int | None = None
    """The estimated tokens of the prompt, if its length had to be checked."""
    reserved: int | None = None
    """The amount in nano-AIU that the budget reserved for the request."""
    quota: Quota | None = None
    """The remaining quota, according to the answer's headers."""
    upstream_id: str | None = None
    """The id that GitHub gave the answer."""
    notes: list[str] = field(default_factory=list)
    """Changes to the request that may matter to the client."""
    sent_notes: int | None = None
    """The number of notes sent to the client in a header; None if there was no such header."""
    unknown: list[Unknown] = field(default_factory=list)
    """The names of things in Copilot's answers that are unknown to this program."""
    started: float = field(default_factory=time.perf_counter, repr=False)
    assessed: tuple[object, object, Cost] | None = field(default=None, repr=False)
    """The `usage` and `copilot_usage` of the last cost calculation, and its result; see `costs`."""

    @property
    def size(self) -> int:
        """The number of bytes to translate and send."""
        return max(self.body_bytes, self.conversation_bytes)

    def add_metrics(self, metrics: RequestMetrics) -> None:
        """Record the number of messages and tools, and the effort."""
        self.items, self.noun = metrics.items, metrics.noun
        self.tools = metrics.tools
        self.effort = metrics.effort if isinstance(metrics.effort, str) else None

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Record the data in the headers of Copilot's answer: the quota, and GitHub's id."""
        token_based = self.listed is not None and self.listed.token_billed
        self.quota = quota_of(headers, token_based=token_based) or self.quota
        self.upstream_id = headers.get("x-github-request-id")

    def mark_first_token(self) -> None:
        """Record when the first part of the answer arrived; later calls have no effect."""
        if self.first_token is None:
            self.first_token = time.perf_counter() - self.started

    def mark_failed(self, code: str, status: int) -> None:
        """Record an error; `status` is ignored once the answer has started."""
        self.error = code
        if self.first_token is None:
            self.status = status


def new_request_id() -> str:
    """Return a new request id, a UUID, which appears in the client's response, the log and
    Copilot's logs.

    Its first eight digits are the lower half of the time in microseconds, so requests made at about
    the same time have similar ids. Similar ids are close together in the ledger's index, so fewer
    of its pages change.
    """
    start = f"{time.time_ns() // 1000 & 0xFFFFFFFF:08x}"
    while True:
        # Formatted here because `uuid` is several times slower. The id is not secret.
        x = f"{_random.getrandbits(96) & _RANDOM | _VERSION:024x}"
        request_id = f"{start}-{x[:4]}-{x[4:8]}-{x[8:12]}-{x[12:]}"
        # Some agents retry a request if its error contains a number such as 429, even in an id.
        if not has_retryable_number(request_id):
            return request_id
        start = f"{_random.getrandbits(32):08x}"  # the time may contain such a number for a second
