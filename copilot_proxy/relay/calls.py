"""Creates the calls to Copilot, and records how a request is sent."""

from collections.abc import Mapping

from copilot_proxy.formats.translation import PreparedRequest
from copilot_proxy.formats.types import UpstreamBody
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.model_resolver import ResolvedModel
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.upstreams.base import Call


def conversation_call(
    prepared: PreparedRequest,
    body: UpstreamBody,
    content: bytes | None,
    resolved: ResolvedModel,
    record: RequestRecord,
    caller: Caller,
) -> Call:
    """Return the call for a prepared conversation, and record how it is sent.

    `body` is the final body, and `content` is the same as JSON, if the upstream needs that.
    """
    record.route, record.notes = prepared.api.name, prepared.notes
    record.initiator, record.images = prepared.initiator, prepared.images
    record.prompt = body
    _count_attempt(record, resolved)
    return Call(
        api=prepared.api.name,
        path=prepared.api.path,
        body=body,
        content=content,
        initiator=prepared.initiator,
        vision=prepared.images > 0 or prepared.pdf_as_image,
        request_id=record.request_id,
        headers=prepared.headers,
        auth=caller.auth,
        size=record.size,
    )


def make_call(
    api: str,
    path: str,
    resolved: ResolvedModel,
    body: UpstreamBody,
    record: RequestRecord,
    caller: Caller,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Return a call to Copilot for anything but a conversation."""
    _count_attempt(record, resolved)
    return Call(
        api=api,
        path=path,
        body=for_model(body, resolved),
        initiator=record.initiator,
        vision=record.images > 0,
        request_id=record.request_id,
        headers=headers or {},
        auth=caller.auth,
        size=record.size,
    )


def _count_attempt(record: RequestRecord, resolved: ResolvedModel) -> None:
    record.model, record.listed = resolved.id, resolved.model
    record.attempts += 1


def for_model(body: UpstreamBody, resolved: ResolvedModel) -> UpstreamBody:
    """Return the body with the id of the resolved model.

    All calls use this, so that Copilot is only asked for the model that the caller's key allows.
    """
    return {**body, "model": resolved.id}
