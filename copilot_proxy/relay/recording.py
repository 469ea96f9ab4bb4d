"""Fills in the record of a request with how the request ended."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from copilot_proxy.errors import (
    CooldownRefusal,
    CopilotProxyError,
    UpstreamRefusal,
    UpstreamUnreachable,
    code_of,
)
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.drift import unknown_codes
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.records import RequestRecord


@contextmanager
def outcome_recorded(
    client: ClientApi, record: RequestRecord, request: ClientRequest
) -> Iterator[None]:
    """Record how the block, which answers `request`, ends; afterwards, all times are known."""
    try:
        yield
    except CopilotProxyError as error:
        record.mark_failed(code_of(error), client.error_status(error))
        _add_failure(record, error)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        record.client_gone = not record.complete
        raise
    except Exception:
        record.mark_failed("internal_error", 500)
        raise
    finally:
        record.duration = time.perf_counter() - record.started
        # The chunks of some models have a usage from the start, in which all counts are 0.
        has_counts = record.usage is not None and record.usage.get("prompt_tokens")
        if not has_counts and record.attempts > 0:
            record.unmetered = request


def _add_failure(record: RequestRecord, error: CopilotProxyError) -> None:
    """Record how far the request got before it failed."""
    if isinstance(error, CooldownRefusal):
        record.local, record.route = True, None
        record.attempts -= 1
    elif isinstance(error, UpstreamRefusal):
        record.upstream_status = error.upstream_status
        record.unknown += unknown_codes(error.upstream_code)
    elif isinstance(error, UpstreamUnreachable):
        record.sent = error.sent
