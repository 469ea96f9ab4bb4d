"""Makes the calls to Copilot."""

from collections.abc import Mapping

from copilot_proxy.formats.types import UpstreamBody
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.model_resolver import ResolvedModel
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.upstreams.base import Call


def make_call(
    api: str,
    path: str | None,
    resolved: ResolvedModel,
    body: UpstreamBody,
    record: RequestRecord,
    caller: Caller,
    headers: Mapping[str, str] | None = None,
    *,
    vision: bool | None = None,
) -> Call:
    """Return a call to Copilot.

    The model is set here for every API, so that no API can send the client's own name for a model
    instead of the model that the caller's key was checked for.
    """
    record.model, record.listed = resolved.id, resolved.model
    record.attempts += 1
    return Call(
        api=api,
        path=path,
        body={**body, "model": resolved.id},
        initiator=record.initiator,
        vision=record.images > 0 if vision is None else vision,
        request_id=record.request_id,
        headers=headers or {},
        auth=caller.auth,
    )
