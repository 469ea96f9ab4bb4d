"""Logs each request that the relay has ended."""

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestRecord

REQUESTS: Final = "copilot_proxy.requests"
"""The logger of requests."""
STOPPED: Final = "server_stopped"
"""The error of an answer that was cut because the server had to end."""

log = logging.getLogger(REQUESTS)


class Reporter:
    """Takes the record of each request that the relay has ended, and logs it."""

    def __init__(self) -> None:
        self.is_cutting = False
        """Whether the server has cut the answers that were still open."""

    def __call__(self, record: "RequestRecord") -> None:
        if self.is_cutting and record.client_gone:
            record.client_gone, record.error = False, STOPPED
        log.info("request", extra={"record": record})
