"""Completes the record of a request when it ends."""

import asyncio
import time
from collections.abc import Callable

from copilot_proxy.errors import (
    CooldownRefusal,
    CopilotProxyError,
    UpstreamError,
    UpstreamRefusal,
    UpstreamUnreachable,
    code_of,
)
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.drift import unknown_codes
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.records import RequestRecord


class Recording:
    """A context manager for answering a request.

    When the block ends, this completes the record and passes it to `report`.
    """

    __slots__ = ("_client", "_record", "_report", "_request")

    def __init__(
        self,
        client: ClientApi,
        record: RequestRecord,
        request: ClientRequest,
        report: Callable[[RequestRecord], None],
    ) -> None:
        self._client = client
        self._record = record
        self._request = request
        self._report = report

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Complete the record of a request that failed with `error`, or succeeded if it is None."""
        record = self._record
        if isinstance(error, CopilotProxyError):
            record.mark_failed(code_of(error), self._client.error_status(error))
            _add_failure(record, error)
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            record.client_gone = not record.complete
        elif isinstance(error, Exception):
            record.mark_failed("internal_error", 500)
        record.duration = time.perf_counter() - record.started
        # The chunks of some models include usage from the start, but with all counts at 0.
        has_counts = record.usage is not None and record.usage.get("prompt_tokens")
        if not has_counts and record.attempts > 0:
            record.unmetered = self._request
        self._report(record)


def _add_failure(record: RequestRecord, error: CopilotProxyError) -> None:
    """Record how far the request got before it failed."""
    if isinstance(error, CooldownRefusal):
        record.local, record.route = True, None
        record.attempts -= 1
    elif isinstance(error, UpstreamRefusal):
        record.upstream_status = error.upstream_status
        record.copilot_usage = error.copilot_usage or record.copilot_usage
        record.unknown += unknown_codes(error.upstream_code)
    elif isinstance(error, UpstreamUnreachable):
        record.sent = error.sent
    if isinstance(error, UpstreamError) and error.free:
        record.sent = False
