"""The table: every fault of a request to Copilot, and what the client then sees.

Pure data. `cause` says how to cause the fault: ``script:NAME`` is one of `scripts`, ``new:NAME`` is
the same on a new connection, ``handshake:NAME`` is how the gateway treats new connections, and a
plain name is a fault that `setups` causes or one of the simulator's.
"""

from typing import Any, Final, NamedTuple


class Error(NamedTuple):
    """A failure as clients see it; it always has a hint."""

    status: int
    code: str | None
    """`code` in OpenAI's error object."""
    type: str
    """`type` in OpenAI's error object."""
    anthropic: str
    """`type` in Anthropic's error object."""
    retry: bool = True
    """Whether SDKs may retry the request; otherwise the response has ``x-should-retry: false``."""
    wait: int | None = None
    """Seconds of ``Retry-After``."""
    anthropic_status: int | None = None
    """The status for Anthropic's clients, if it differs."""
    midway: bool = False
    """Whether the error is an event in a started stream; everything before it is intact."""


class Row(NamedTuple):
    """A fault and its outcomes; None as an outcome means the correct answer."""

    name: str
    cause: str
    whole: Error | None
    """The outcome for a client that does not stream."""
    stream: Error | None
    calls: int = 1
    """Number of requests to the model that reach Copilot."""
    connects: int | None = None
    """Number of new connections, if that matters."""
    value: Any = None
    times: int | None = None
    forms: str = "both"
    """``stream`` or ``whole`` if the fault only exists in that form."""
    begun: bool = True
    """Whether part of the answer has arrived before the failure."""
    exact: bool = True
    """Whether everything that was sent arrives; a reset may lose some of it."""
    setup: str = "plain"
    own: bool = False
    """Whether the client sends its own token, so that cooldowns do not affect other cells."""
    translated: bool = True
    """Whether the fault is also tested with models of other APIs."""
    embeddings: bool = True
    """Whether the fault can affect embeddings."""
    size: int = 0
    """Additional bytes in the request."""


BROKEN: Final = Error(502, "upstream_broken", "server_error", "api_error", retry=False)
MIDWAY: Final = BROKEN._replace(status=200, retry=True, midway=True)
LOST: Final = Error(502, "upstream_unreachable", "server_error", "api_error", retry=False)
LATE: Final = LOST._replace(status=504, anthropic="timeout_error")
UNSENT: Final = LOST._replace(retry=True)
UNSENT_LATE: Final = LATE._replace(retry=True)
EVENT: Final = Error(502, "internal_error", "server_error", "api_error", retry=False)

CONNECTION: Final = (
    Row("connection refused", "refused", UNSENT, UNSENT, calls=0, connects=0),
    Row("DNS: the host name is not found", "unknown_name", UNSENT, UNSENT, 0, 0, setup="tls"),
    Row("TLS: the certificate is not trusted", "handshake:untrusted", UNSENT, UNSENT, 0, 1,
        setup="tls"),
    Row("TLS: the certificate is for another host", "handshake:other_name", UNSENT, UNSENT, 0, 1,
        setup="tls"),
    Row("TLS: the port speaks plain HTTP", "handshake:plain", UNSENT, UNSENT, 0, 1, setup="tls"),
    Row("TLS: reset during the handshake", "handshake:reset", UNSENT, UNSENT, 0, 2, setup="tls"),
    Row("TLS: silence during the handshake", "handshake:stall", UNSENT_LATE, UNSENT_LATE, 0, 1,
        setup="tls", forms="whole", translated=False),
    Row("an idle connection was closed", "hang_up", None, None, connects=1),
    Row("an idle connection was reset", "break_up", None, None, connects=1),
    Row("an idle connection is reset as the request arrives", "head", LOST, LOST, 0, 0),
    Row("reset while 4 MB are being sent", "head", LOST, LOST, 0, 0, size=4_000_000,
        embeddings=False),
    Row("closed after the request", "script:close_before_head", LOST, LOST, connects=0),
    Row("closed after the request, on a new connection", "new:close_before_head", LOST,
        LOST, connects=1),
    Row("reset before the headers", "script:reset_before_head", LOST, LOST, connects=0),
    Row("reset before the headers, on a new TLS connection", "new:reset_before_head", LOST, LOST,
        connects=1, setup="tls"),
    Row("reset before the headers (simulator)", "cut_before_headers", LOST, LOST,
        translated=False),
    Row("cut within the headers", "script:cut_in_head", LOST, LOST),
    Row("silence before the headers", "script:stall_before_head", LATE, LATE, setup="timeouts",
        translated=False),
    Row("silence before the headers, after the stream has started", "script:stall_before_head",
        LATE, LATE._replace(status=200, retry=True, midway=True, anthropic="timeout_error"),
        setup="early", begun=False, translated=False),
    Row("silence before the headers (simulator)", "stall_before_headers", LATE, LATE,
        setup="timeouts", translated=False),
    Row("not HTTP at all", "script:not_http", LOST, LOST),
    Row("headers of 2 MB", "script:huge_head", LOST, LOST),
)  # fmt: skip
"""Faults before the answer."""

CUT: Final = (
    Row("reset after the headers", "script:reset_after_head", BROKEN, BROKEN),
    Row("closed after the headers", "script:close_after_head", BROKEN, BROKEN),
    Row("closed after the headers (simulator)", "cut_after_headers", None, BROKEN, forms="stream",
        translated=False),
    Row("silence after the headers", "script:stall_after_head", BROKEN, BROKEN,
        setup="timeouts", translated=False),
    Row("cut between events", "script:cut_between_events", BROKEN, MIDWAY),
    Row("cut between events (simulator)", "cut_mid_stream", None, MIDWAY, forms="stream"),
    Row("reset between events", "script:reset_between_events", BROKEN, MIDWAY, exact=False),
    Row("cut within an event", "script:cut_mid_event", BROKEN, MIDWAY),
    Row("cut within an event (simulator)", "cut_mid_event", None, MIDWAY, forms="stream"),
    Row("ended within an event as if complete", "script:end_mid_event", BROKEN, MIDWAY),
    Row("ended without a finish reason", "end_early", None, MIDWAY, forms="stream"),
    Row("silence within the answer", "script:stall_mid_answer", BROKEN, MIDWAY, setup="timeouts",
        translated=False),
    Row("silence within the answer (simulator)", "stall_mid_stream", None, MIDWAY, forms="stream",
        setup="timeouts", translated=False),
    Row("cut after the finish", "script:cut_after_all", BROKEN, None),
    Row("ended after the finish, without the last event", "cut_after_finish", None, None,
        forms="stream"),
    Row("no [DONE]", "no_done", None, None, forms="stream"),
    Row("silence after the finish", "script:stall_after_all", BROKEN, None, setup="timeouts",
        translated=False),
    Row("silence before the last event", "stall_after_finish", None, None, forms="stream",
        setup="timeouts"),
    Row("Content-Length too small", "script:short_length", BROKEN, MIDWAY),
    Row("Content-Length too large", "script:long_length", BROKEN, None),
    Row("a broken chunk", "script:bad_chunk", BROKEN, MIDWAY),
)  # fmt: skip
"""Faults within the answer."""

WRONG: Final = (
    Row("200 with an empty body", "script:empty", BROKEN, BROKEN),
    Row("204", "script:no_content", BROKEN, BROKEN),
    Row("200 with only white space", "script:white_space", BROKEN, BROKEN),
    Row("an empty stream", "empty_stream", None, BROKEN, forms="stream"),
    Row("only filter results", "filter_chunk_only", None, BROKEN, forms="stream"),
    Row("JSON instead of events", "json_instead_of_sse", None, None, forms="stream"),
    Row("an error in JSON, with 200", "script:error_object", EVENT, EVENT),
    Row("an error in JSON instead of events", "json_error_instead_of_sse", None, EVENT,
        forms="stream"),
    Row("a web page, with 200", "script:html", BROKEN, BROKEN),
    Row("a web page, with 200 (simulator)", "html_instead", None, BROKEN, forms="stream",
        translated=False),
    Row("a web page with the content type of an answer", "script:html_as_answer", BROKEN, BROKEN),
    Row("307", "script:redirect", BROKEN, BROKEN),
    Row("304", "script:not_modified", BROKEN, BROKEN),
    Row("an error event first", "error_first_chunk", None, EVENT, forms="stream"),
    Row("an error event within the stream", "error_chunk", None,
        EVENT._replace(status=200, retry=True, midway=True), forms="stream"),
    Row("`response.failed` or an error within the stream", "failed", None,
        EVENT._replace(status=200, code="server_error", retry=True, midway=True), forms="stream"),
    Row("an event that is not JSON", "invalid_json_event", None, MIDWAY, forms="stream"),
    Row("an event that is not UTF-8", "invalid_utf8", None, None, forms="stream"),
    Row("an event of 5 MB", "huge_event", None, None, value=5_000_000, forms="stream"),
    Row("an event of 20 MB", "script:big_event", None, MIDWAY),
    Row("an answer without an end", "script:endless", BROKEN, MIDWAY, translated=False),
    Row("invalid gzip", "script:no_gzip", BROKEN, BROKEN),
)  # fmt: skip
"""Answers of the wrong kind."""

ODD: Final = tuple(
    Row(name, f"script:{script}", None, None, translated=False)
    for name, script in (
        ("early hints (103)", "early_hints"),
        ("100 Continue", "early_continue"),
        ("every header twice", "doubled_headers"),
        ("trailers", "trailers"),
        ("HTTP/1.0", "http_1_0"),
        ("sent byte by byte", "one_byte_writes"),
        ("sent seven bytes at a time", "odd_writes"),
        ("sent in one packet", "one_write"),
        ("gzip", "gzip"),
        ("CR LF", "crlf"),
    )
) + tuple(
    Row(name, fault, None, None, forms="stream", translated=False)
    for name, fault in (
        ("byte by byte (simulator)", "one_byte_writes"),
        ("odd pieces (simulator)", "split_writes"),
        ("CR LF (simulator)", "crlf"),
        ("gzip (simulator)", "gzip"),
        ("comments", "comments"),
        ("two [DONE] events", "extra_done"),
    )
)
"""Correct answers in an unusual form."""
