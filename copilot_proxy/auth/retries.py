"""Repeats requests that cost nothing, such as the token exchange, after a failure that may resolve
itself within seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, TypeVar

from copilot_proxy.errors import UpstreamError, UpstreamRefusal, UpstreamUnreachable

T = TypeVar("T")
SHORT: Final = (0.5, 1.0)
"""Seconds before each retry while a user or a client is waiting."""


async def with_retries(
    call: Callable[[], Awaitable[T]],
    delays: Sequence[float] = SHORT,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return the result of `call`. After a transient failure, call again, at most once for each
    delay."""
    for delay in delays:
        try:
            return await call()
        except UpstreamError as error:
            if not _is_transient(error):
                raise
            await sleep(delay)
    return await call()


def _is_transient(error: UpstreamError) -> bool:
    """Return whether the failure may resolve itself within seconds.

    Returns False for an error that specifies a wait; for a timeout, which has already taken a long
    time; and for a failure that is likely to last, such as being unable to resolve GitHub's name.
    """
    if "retry-after" in error.headers:
        return False
    if isinstance(error, UpstreamRefusal):
        return error.upstream_status >= 500
    is_lost = isinstance(error, UpstreamUnreachable) and (error.temporary or error.sent)
    return is_lost and error.status != HTTPStatus.GATEWAY_TIMEOUT
