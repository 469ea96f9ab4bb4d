"""Which model a name means, and for whom: own names, the account's list, and a key's limits."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from copilot_proxy.catalogue import Alias, Catalogue, Model
from copilot_proxy.errors import CopilotProxyError, RequestError, UpstreamError
from copilot_proxy.formats.messages.betas import asks_long_context
from copilot_proxy.keys import ApiKey
from copilot_proxy.relay.caller import NOBODY, Caller
from copilot_proxy.upstreams.base import Upstream

_LIST_TIMEOUT: Final = 10.0
"""Seconds that a request waits for the list of models; after that upstream decides."""


class ModelResolver:
    """Finds models in the lists of one upstream."""

    def __init__(
        self, upstream: Upstream, default_model: str, aliases: Mapping[str, Alias] | None = None
    ) -> None:
        self._upstream = upstream
        self._default_model = default_model
        self._aliases = aliases or {}
        self._known: set[str] = set()

    def is_known(self, model_id: str) -> bool:
        """Whether a list of models has had it for a request, so that it is no client's word."""
        return model_id in self._known

    def alias(self, name: str) -> Alias | None:
        """The name of the person's own, if it is one."""
        return self._aliases.get(name)

    async def models(self, caller: Caller = NOBODY) -> Catalogue:
        """The models of the account, as far as `key` opens them; raises `CopilotProxyError`."""
        return self._opened(await self._upstream.models(caller.auth), caller.key)

    async def model(self, name: str, caller: Caller = NOBODY) -> Model:
        """The model that `name` means; raises `RequestError` when the account has none (404), or
        `key` does not open it (403)."""
        catalogue = await self._upstream.models(caller.auth)
        model = self._resolved(catalogue, name)
        if model is None:
            # It may be newer than our list.
            catalogue = await self._upstream.models(caller.auth, fresh=True)
            model = self._resolved(catalogue, name)
        if model is None or model.type not in ("chat", "embeddings"):
            raise _unknown_model(name, self._opened(catalogue, caller.key))
        self._check(caller.key, model.id, catalogue)
        return model

    async def aliases(self, caller: Caller = NOBODY) -> list[tuple[str, Model]]:
        """The person's own names for models, with the model that each means now."""
        catalogue = await self._upstream.models(caller.auth)
        found = [(name, self._resolved(catalogue, name)) for name in self._aliases]
        return [
            (name, model)
            for name, model in found
            if model is not None and self._allows(caller.key, model.id, catalogue)
        ]

    def _resolved(self, catalogue: Catalogue, name: str) -> Model | None:
        """A model by a name of the person's own, or one that the catalogue knows."""
        model = catalogue.resolve(self._unaliased(name), self._unaliased(self._default_model))
        if model is not None:
            self._known.add(model.id)
        return model

    def _unaliased(self, name: str) -> str:
        alias = self._aliases.get(name)
        return alias.model if alias is not None else name

    def target(self, name: str) -> str:
        """What `name` means without a list of models."""
        target = self._unaliased(name)
        return self._unaliased(self._default_model) if target == "default" else target

    def _opened(self, catalogue: Catalogue, key: ApiKey | None) -> Catalogue:
        if key is None or not key.models:
            return catalogue
        return Catalogue(m for m in catalogue if self._allows(key, m.id, catalogue))

    def _allows(self, key: ApiKey | None, model_id: str, catalogue: Catalogue | None) -> bool:
        def meaning(name: str) -> str:
            model = self._resolved(catalogue, name) if catalogue is not None else None
            return self.target(name) if model is None else model.id

        return key is None or key.allows(model_id, meaning)

    def _check(self, key: ApiKey | None, model_id: str, catalogue: Catalogue | None) -> None:
        """Raises `RequestError` (403) for a model that `key` does not open. `model_id` is what is
        asked of Copilot, so that no other name of a model gets around it."""
        if key is not None and not self._allows(key, model_id, catalogue):
            raise _model_not_allowed(model_id, key)

    async def for_request(
        self,
        kind: str,
        name: str,
        caller: Caller,
        betas: Collection[str] = (),
        *,
        required: bool = False,
    ) -> Model | None:
        """The model for a request; None when the list cannot be had, so that upstream decides.

        Where it is `required`, what keeps the list away is raised instead.
        """
        try:
            async with asyncio.timeout(_LIST_TIMEOUT):
                model = await self.model(name, caller)
                if asks_long_context(betas):
                    model = (await self.models(caller)).long_context_variant(model)
        except (UpstreamError, TimeoutError) as error:
            self._check(caller.key, self.target(name), None)
            if required and isinstance(error, UpstreamError):
                raise
            return None
        if model.type != kind:
            raise RequestError(
                f"The model {model.id!r} is for {model.type}, not for {kind}.", param="model"
            )
        return model

    async def fresh(self, name: str, caller: Caller = NOBODY) -> Model | None:
        try:
            catalogue = await self._upstream.models(caller.auth, fresh=True)
        except CopilotProxyError:
            return None
        model = self._resolved(catalogue, name)
        if model is not None:
            self._check(caller.key, model.id, catalogue)
        return model


def _model_not_allowed(model_id: str, key: ApiKey) -> RequestError:
    return RequestError(
        f"The key `{key.name}` may not use the model `{model_id[:200]}`.",
        status=403,
        type="permission_error",
        code="model_not_allowed",
        param="model",
        hint=f"It may use {', '.join(key.models)}; GET /v1/models lists them.",
    )


def _unknown_model(name: str, catalogue: Catalogue) -> RequestError:
    near = catalogue.similar_ids(name)
    like = f"Did you mean {', '.join(near)}? " if near else ""
    return RequestError(
        f"The model `{name[:200]}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
        hint=f"{like}copilot-proxy models lists what the account has.",
    )
