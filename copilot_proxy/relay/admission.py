"""The protocol for deciding whether a request may be sent, before it costs anything."""

from typing import Final, Protocol

from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.model_resolver import ResolvedModel
from copilot_proxy.relay.records import RequestRecord

BUDGET_EXCEEDED: Final = "budget_exceeded"
"""The error code of a request that a budget does not admit."""


class Admission(Protocol):
    """Decides whether requests may be sent to Copilot."""

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Raise `CopilotProxyError` if `request` must not be sent.

        `record` contains the model and the sender of the request.
        """
        ...


class AdmitAll:
    """Admits every request."""

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Do nothing."""


async def admit(
    admission: Admission, resolved: ResolvedModel, record: RequestRecord, request: ClientRequest
) -> None:
    """Record the model, and raise `CopilotProxyError` if `admission` refuses the request."""
    record.model, record.listed = resolved.id, resolved.model
    await admission.admit(record, request)
