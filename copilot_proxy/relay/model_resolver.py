"""Resolves model names, using the user's aliases, the account's catalogue and key restrictions."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.catalogue import Alias, Catalogue, Model
from copilot_proxy.errors import (
    CopilotProxyError,
    RequestError,
    UpstreamError,
    UpstreamUnreachable,
)
from copilot_proxy.formats.drift import Unknown, unknown_in_models
from copilot_proxy.formats.messages.betas import wants_long_context
from copilot_proxy.model_names import (
    AUTO,
    Resolution,
    alias_of,
    needs_catalogue,
    resolve,
    suggestion,
    without_alias,
)
from copilot_proxy.relay.caller import SERVER_USER, Caller
from copilot_proxy.upstreams.base import Upstream

_LIST_TIMEOUT: Final = 10.0
"""Seconds that a request waits for the catalogue; after that, the name is sent to Copilot
unchanged."""
_UNKNOWN_MAX_AGE: Final = 1.0
"""A name counts as unknown only if a catalogue at most this many seconds old lacks it."""
_MAX_RESOLUTIONS: Final = 500
"""The number of names to remember; it is limited because clients can make up names."""
_OTHER_TYPE_HINTS: Final = {
    "chat": "Choose a chat model. List them with: copilot-proxy models",
    "embeddings": "Choose an embeddings model. List them with: copilot-proxy models embedding",
}


class ResolvedModel(NamedTuple):
    """The model that a request asks for, which the caller's key is allowed to use."""

    id: str
    model: Model | None
    """The catalogue entry, or None if the catalogue cannot be read."""
    notes: tuple[str, ...] = ()
    """Notes about the choice for the client."""


class ModelResolver:
    """Resolves names with the catalogues of an upstream."""

    def __init__(
        self, upstream: Upstream, default_model: str, aliases: Mapping[str, Alias] | None = None
    ) -> None:
        self._upstream = upstream
        self._default_model = default_model
        self._aliases = aliases or {}
        self._listed: set[str] = set()
        self._checked: Catalogue | None = None
        self._resolutions: dict[str, Resolution] = {}
        """Name -> what it refers to in the most recently used catalogue."""
        self.unknown: list[Unknown] = []
        """Unknown things in new catalogues; the code that reads this list also empties it."""

    def is_listed(self, model_id: str) -> bool:
        """Return whether a catalogue has listed this id, which means that no client made it up."""
        return model_id in self._listed

    def alias(self, name: str) -> Alias | None:
        """Return the user's alias with this name, or None."""
        return alias_of(name, self._aliases)

    async def catalogue(self, caller: Caller = SERVER_USER) -> Catalogue:
        """Return the models that the caller's account has and that the caller's key may use.

        Raises `CopilotProxyError`.
        """
        return self._allowed(await self._upstream.catalogue(caller.auth), caller.key)

    async def model(self, name: str, caller: Caller = SERVER_USER) -> Model:
        """Return the model that `name` refers to; see `resolve`."""
        return (await self.resolve(name, caller)).model

    async def resolve(self, name: str, caller: Caller = SERVER_USER) -> Resolution:
        """Return the model that `name` refers to.

        Raises `RequestError` with 404 if the account has no such model, and with 403 if the key
        does not allow it. Raises `CopilotProxyError` if the catalogue cannot be read.
        """
        catalogue = await self._upstream.catalogue(caller.auth)
        resolution = self._resolve_name(catalogue, name)
        if resolution is None:
            # The model may be newer than the cached catalogue.
            catalogue = await self._upstream.catalogue(caller.auth, max_age=_UNKNOWN_MAX_AGE)
            resolution = self._resolve_name(catalogue, name)
        return self._usable(resolution, name, catalogue, caller)

    def _usable(
        self, resolution: Resolution | None, name: str, catalogue: Catalogue, caller: Caller
    ) -> Resolution:
        """Return `resolution` if `caller` may use its model. Raises `RequestError`."""
        if resolution is None or resolution.model.type not in ("chat", "embeddings"):
            raise _unknown_model(self._without_alias(name), self._allowed(catalogue, caller.key))
        self._check_key(caller.key, resolution.model.id, catalogue)
        return resolution

    async def default(self, caller: Caller = SERVER_USER) -> Model | None:
        """Return the model that ``default`` refers to, or None if the caller may not use it."""
        catalogue = await self._upstream.catalogue(caller.auth)
        model = self._resolve_model(catalogue, "default")
        is_allowed = model is not None and self._allows(caller.key, model.id, catalogue)
        return model if is_allowed else None

    async def aliases(self, caller: Caller = SERVER_USER) -> list[tuple[str, Model]]:
        """Return the user's aliases that the caller may use, with the models they currently refer
        to."""
        catalogue = await self._upstream.catalogue(caller.auth)
        found = [(name, self._resolve_model(catalogue, name)) for name in self._aliases]
        return [
            (name, model)
            for name, model in found
            if model is not None and self._allows(caller.key, model.id, catalogue)
        ]

    def _resolve_model(self, catalogue: Catalogue, name: str) -> Model | None:
        resolution = self._resolve_name(catalogue, name)
        return resolution.model if resolution is not None else None

    def _resolve_name(self, catalogue: Catalogue, name: str) -> Resolution | None:
        """Return what `name` refers to: one of the user's aliases, or a name in the catalogue."""
        if catalogue is not self._checked:
            self._checked, self._resolutions = catalogue, {}
            self.unknown = unknown_in_models(catalogue)
        if (known := self._resolutions.get(name)) is not None:
            return known
        resolution = resolve(
            catalogue, self._without_alias(name), self._without_alias(self._default_model)
        )
        if resolution is not None:
            self._listed.add(resolution.model.id)
            if len(self._resolutions) < _MAX_RESOLUTIONS:
                self._resolutions[name] = resolution
        return resolution

    def _without_alias(self, name: str) -> str:
        """Return the target of the user's alias `name`, or `name` without Ollama's tag."""
        return without_alias(name, self._aliases)

    def _resolve_without_catalogue(self, name: str) -> str:
        """Return the model name to send to Copilot when the catalogue cannot be read."""
        target = self._without_alias(name)
        is_default = target in ("default", AUTO)
        return self._without_alias(self._default_model) if is_default else target

    def _allowed(self, catalogue: Catalogue, key: ApiKey | None) -> Catalogue:
        """Return the models in `catalogue` that `key` may use."""
        if key is None or not key.models:
            return catalogue
        return Catalogue(m for m in catalogue if self._allows(key, m.id, catalogue))

    def _allows(self, key: ApiKey | None, model_id: str, catalogue: Catalogue | None) -> bool:
        def resolution(name: str) -> str:
            model = self._resolve_model(catalogue, name) if catalogue is not None else None
            return self._resolve_without_catalogue(name) if model is None else model.id

        return key is None or key.allows(model_id, resolution)

    def _check_key(self, key: ApiKey | None, model_id: str, catalogue: Catalogue | None) -> None:
        """Raise `RequestError` (403) if `key` may not use the model.

        `model_id` is the id that will be sent to Copilot, so that aliases cannot circumvent a
        restriction.
        """
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
    ) -> ResolvedModel:
        """Return the model for a request of the given `kind`, ``chat`` or ``embeddings``.

        If the catalogue cannot be read, the result has no entry, which leaves the decision to
        Copilot. With `required`, or if `name` is a family, the error is raised instead. `betas` are
        values of ``anthropic-beta`` headers. Raises `RequestError` as `resolve` does, and for a
        model of another kind.
        """
        try:
            resolution = self._cached_resolution(name, caller)
            if resolution is None:
                async with asyncio.timeout(_LIST_TIMEOUT):
                    resolution = await self.resolve(name, caller)
            model = resolution.model
            if wants_long_context(betas):
                model = (await self.catalogue(caller)).long_context_variant(model)
        except (UpstreamError, TimeoutError) as error:
            target = self._resolve_without_catalogue(name)
            self._check_key(caller.key, target, None)
            is_required = required or needs_catalogue(target)
            if is_required and isinstance(error, UpstreamError):
                raise
            if is_required:
                raise _no_list(target) from error
            return ResolvedModel(target, None)
        if model.type != kind:
            raise RequestError(
                f"The model {model.id!r} is for {model.type}, not for {kind}.",
                param="model",
                hint=_OTHER_TYPE_HINTS[kind],
            )
        return ResolvedModel(model.id, model, self._notes(name, model, resolution))

    def _cached_resolution(self, name: str, caller: Caller) -> Resolution | None:
        """Return the result of `resolve` if a cached catalogue contains the name, otherwise
        None."""
        catalogue = self._upstream.cached_catalogue(caller.auth)
        resolution = None if catalogue is None else self._resolve_name(catalogue, name)
        if catalogue is None or resolution is None:
            return None
        return self._usable(resolution, name, catalogue, caller)

    def _notes(self, name: str, model: Model, resolution: Resolution) -> tuple[str, ...]:
        if not resolution.is_substitute:
            return ()
        target = self._without_alias(name)
        if target == AUTO:
            reason = "this server does not let Copilot choose"
            return (f"changed model from auto to {model.id}, the default: {reason}",)
        if needs_catalogue(target):
            return (f"changed model: this account has no {target} model; {model.id} answered",)
        return (f"changed model: this account does not have {target}; {model.id} answered",)

    async def reload(
        self, name: str, caller: Caller = SERVER_USER, used: Model | None = None
    ) -> Model | None:
        """Return the model `name` from a newer catalogue than the one that `used` is from.

        The catalogue is read now, unless another request has already done so. Returns None if the
        account has no such model or the catalogue cannot be read. Raises `RequestError` (403) if
        the key does not allow it.
        """
        catalogue = self._upstream.cached_catalogue(caller.auth)
        try:
            if catalogue is None or used is None or any(one is used for one in catalogue):
                catalogue = await self._upstream.catalogue(caller.auth, max_age=0.0)
        except CopilotProxyError:
            return None
        model = self._resolve_model(catalogue, name)
        if model is not None:
            self._check_key(caller.key, model.id, catalogue)
        return model


def _model_not_allowed(model_id: str, key: ApiKey) -> RequestError:
    return RequestError(
        f"The API key `{key.name}` does not allow the model `{model_id[:200]}`.",
        status=403,
        type="permission_error",
        code="model_not_allowed",
        param="model",
        hint=f"Use {', '.join(key.models)}; GET /v1/models lists the allowed models.",
    )


def _unknown_model(name: str, catalogue: Catalogue) -> RequestError:
    hint = f"{suggestion(catalogue, name)} List the account's models with: copilot-proxy models"
    return RequestError(
        f"The model `{name[:200]}` does not exist, or the account has no access to it.",
        status=404,
        code="model_not_found",
        param="model",
        hint=hint.lstrip(),
    )


def _no_list(name: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(
        f"Copilot's list of models did not arrive in time, so `{name}` cannot be resolved.",
        sent=False,
        hint="Try again, or use the id of a model.",
        status=504,
    )
