"""The protocol for deciding, before a request is sent, whether it may cost anything."""

from typing import Final, Protocol

from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.model_resolver import ResolvedModel
from copilot_proxy.relay.records import RequestRecord

BUDGET_EXCEEDED: Final = "budget_exceeded"
"""The error code for a refused request."""


class Admission(Protocol):
    """Decides about requests before they are sent to Copilot."""

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
    """Ask `admission` about a request to a model. Raises `CopilotProxyError` if the request is
    refused."""
    record.model, record.listed = resolved.id, resolved.model
    await admission.admit(record, request)
