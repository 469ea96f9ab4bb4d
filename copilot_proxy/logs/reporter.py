"""Logs each finished request."""

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copilot_proxy.relay.records import RequestRecord

REQUESTS: Final = "copilot_proxy.requests"
"""The name of the logger of requests."""
STOPPED: Final = "server_stopped"
"""The error code of an answer that was cut off by a shutdown."""

log = logging.getLogger(REQUESTS)


class Reporter:
    """Logs the record of each finished request."""

    def __init__(self) -> None:
        self.is_cutting = False
        """Whether the server is cutting off the open requests."""

    def __call__(self, record: "RequestRecord") -> None:
        if self.is_cutting and record.client_gone:
            record.client_gone, record.error = False, STOPPED
        log.info("request", extra={"record": record})
