"""Adds hints to errors: what the client or its user can do about a refusal by Copilot."""

import re
from typing import Final

from copilot_proxy.catalogue import ENABLE_URL
from copilot_proxy.errors import CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.model_resolver import ModelResolver
from copilot_proxy.upstreams.base import Upstream

_EFFORT_FIELDS: Final = re.compile(
    r"\b(reasoning_effort|reasoning\.effort|output_config\.effort)\b"
)


class Hints:
    """Adds hints from the account's catalogue about models that Copilot refuses."""

    def __init__(self, upstream: Upstream, models: ModelResolver) -> None:
        self._upstream = upstream
        self._models = models

    async def add(self, error: UpstreamRefusal, name: str, caller: Caller) -> None:
        """Set a hint from the catalogue if Copilot refused the model."""
        if error.code != "model_not_found":
            return
        model = await self._models.reload(name, Caller(caller.auth))
        if model is not None and model.needs_enabling:
            error.hint = (
                f"{model.id} must be enabled first: accept its terms at {ENABLE_URL}, or ask your "
                "organization to do so."
            )
        elif model is not None and self._is_automatic(caller):
            error.hint = (
                "The account has no model that can be chosen. On Copilot Free and Student, GitHub "
                "chooses the model in its own programs, and other programs may get none. See the "
                "plan with: copilot-proxy status"
            )
        elif model is not None:
            error.hint = (
                f"Choose another model: {model.id} is in the account's list, but Copilot does not "
                "serve it to this client. The plan, organization or region may not allow it."
            )

    def _is_automatic(self, caller: Caller) -> bool:
        """Return whether the account cannot choose a model, even in Copilot's own programs."""
        catalogue = self._upstream.cached_catalogue(caller.auth)
        return catalogue is not None and not catalogue.has_picker


def name_client_field(error: CopilotProxyError, client: ClientApi) -> None:
    """Make `error` use the client API's name for the field that it is about."""
    if error.code == "context_length_exceeded":
        error.param = client.conversation_field
    elif error.code == "invalid_reasoning_effort":
        error.param = client.effort_field
        error.message = _EFFORT_FIELDS.sub(client.effort_field, error.message)
