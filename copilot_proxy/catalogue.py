"""The models of an account, parsed from Copilot's list.

A missing or malformed field of a model is treated as unknown, so that one malformed entry does not
hide the other models.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from copilot_proxy.model_ids import LONG_CONTEXT_SUFFIX, ModelName, parse_name
from copilot_proxy.model_prices import PriceClass, TokenPrice, price_class, token_price
from copilot_proxy.model_retirements import Retirement, retirement

MAX_NAME_LENGTH: Final = 256
"""Maximum length in characters of a model name in a request."""
ENABLE_URL: Final = "https://github.com/settings/copilot/features"
"""The page for accepting the terms of a model that GitHub lists as disabled."""

CHAT_COMPLETIONS_PATH: Final = "/chat/completions"
RESPONSES_PATH: Final = "/responses"
MESSAGES_PATH: Final = "/v1/messages"
EMBEDDINGS_PATH: Final = "/embeddings"
RESPONSES_SOCKET: Final = "ws:/responses"
"""Copilot's WebSocket for Responses, as the model list spells it."""
API_PATHS: Final = frozenset(
    {CHAT_COMPLETIONS_PATH, RESPONSES_PATH, MESSAGES_PATH, EMBEDDINGS_PATH}
)
"""Copilot's paths for the APIs that this program can call, as the model list spells them."""


@dataclass(frozen=True)
class Alias:
    """A user-defined name for a model, with parameters that override those of the request."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """A subset of `ALIAS_PARAMETERS`, under their Chat Completions names."""


ALIAS_PARAMETERS: Final = ("reasoning_effort", "max_tokens", "temperature", "top_p")


@dataclass(frozen=True)
class Model:
    """One model; `raw` is its complete entry in Copilot's list."""

    id: str
    name: str
    vendor: str
    type: str
    family: str
    endpoints: tuple[str, ...]
    supports: Mapping[str, Any]
    limits: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)
    token_billed: bool = False
    """Whether the account is billed per token; assumed if any model in its list has a price."""
    derived: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """A cache of data that other modules derive from the model, such as its profiles."""

    @property
    def is_chat(self) -> bool:
        """Whether this is a chat model, as opposed to one for embeddings or code completion."""
        return self.type == "chat"

    @property
    def needs_enabling(self) -> bool:
        """Whether the user or the organization must enable the model first, at `ENABLE_URL`."""
        policy = self.raw.get("policy")
        return isinstance(policy, Mapping) and policy.get("state") not in (None, "enabled")

    @property
    def is_disabled(self) -> bool:
        """Whether Copilot refuses the model because the user or organization has not enabled it."""
        policy = self.raw.get("policy")
        return isinstance(policy, Mapping) and policy.get("state") == "disabled"

    @cached_property
    def parts(self) -> ModelName:
        """The brand, family and version in the model's id."""
        return parse_name(self.id)

    @cached_property
    def retirement(self) -> Retirement | None:
        """GitHub's announcement of the model's retirement, or None if there is none."""
        return retirement(self.raw)

    @cached_property
    def token_price(self) -> TokenPrice | None:
        """The price in dollars per million tokens, or None if the list does not have it."""
        return token_price(self.raw)

    @cached_property
    def price_class(self) -> PriceClass | None:
        """How expensive the model is, or None if unknown."""
        return price_class(self.raw)

    @property
    def is_served(self) -> bool:
        """Whether Copilot serves the model on an API that this program can call."""
        return not self.endpoints or any(path in API_PATHS for path in self.endpoints)

    def limit(self, name: str) -> int | None:
        """Return a limit such as ``max_prompt_tokens``, or None if the list does not have it."""
        value = self.limits.get(name)
        return value if type(value) is int and value > 0 else None

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """The values of ``reasoning_effort`` that the model accepts."""
        value = self.supports.get("reasoning_effort")
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


class Catalogue:
    """A snapshot of an account's models, in GitHub's order and without duplicates."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._by_id: dict[str, Model] = {}
        for model in models:
            self._by_id.setdefault(model.id, model)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, model_id: str) -> Model | None:
        """Return the model with exactly this id, or None."""
        return self._by_id.get(model_id)

    @property
    def usable(self) -> list[Model]:
        """The models to show to users: chat and embeddings models that are served."""
        shown = ("chat", "embeddings")
        return [m for m in self._by_id.values() if m.type in shown and m.is_served]

    @property
    def offered(self) -> list[Model]:
        """The usable models that are not disabled, for the model lists of clients."""
        return [m for m in self.usable if not m.is_disabled]

    @property
    def chat(self) -> list[Model]:
        """The chat models, whether enabled or not."""
        return [m for m in self._by_id.values() if m.is_chat]

    @cached_property
    def has_picker(self) -> bool:
        """Whether any model is in Copilot's own model picker."""
        return any(m.raw.get("model_picker_enabled") is True for m in self.chat)

    def is_picked(self, model: Model) -> bool:
        """Return whether `model` is in Copilot's own model picker.

        Some accounts have no models in the picker. The picker flag then means nothing, and all chat
        models count as picked.
        """
        return model.raw.get("model_picker_enabled") is True or not self.has_picker

    @property
    def picker_models(self) -> list[Model]:
        """The enabled chat models in Copilot's own model picker."""
        return [m for m in self.usable if m.is_chat and self.is_picked(m) and not m.needs_enabling]

    def long_context_variant(self, model: Model) -> Model:
        """Return the long-context variant of `model` if it exists and is enabled, otherwise
        `model`."""
        variant = self._by_id.get(f"{model.id}{LONG_CONTEXT_SUFFIX}")
        return model if variant is None or variant.needs_enabling else variant


def parse_models(payload: object) -> Catalogue:
    """Parse Copilot's response to ``GET /models``, ``{"data": [...]}``; skip entries without an id.

    Raises `ValueError` if the response is not such a list, or contains no models.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else payload
    if not isinstance(data, list):
        raise ValueError("it is not a list of models")
    entries = [entry for entry in data if isinstance(entry, Mapping)]
    token_billed = any(token_price(entry) is not None for entry in entries)
    catalogue = Catalogue(model for entry in entries if (model := _model(entry, token_billed)))
    if not len(catalogue):
        raise ValueError("it contains no models")
    return catalogue


def _model(entry: Mapping[str, Any], token_billed: bool) -> Model | None:
    model_id = entry.get("id")
    if not isinstance(model_id, str) or not model_id:
        return None
    capabilities = _mapping(entry.get("capabilities"))
    endpoints = entry.get("supported_endpoints")
    return Model(
        id=model_id,
        name=_text(entry.get("name")) or model_id,
        vendor=_text(entry.get("vendor")) or "unknown",
        # Most models are chat models, so entries without a type count as such.
        type=_text(capabilities.get("type")) or "chat",
        family=_text(capabilities.get("family")) or model_id,
        endpoints=_endpoints(endpoints) if isinstance(endpoints, list) else (),
        supports=_mapping(capabilities.get("supports")),
        limits=_mapping(capabilities.get("limits")),
        raw=entry,
        token_billed=token_billed,
    )


def _endpoints(listed: list[object]) -> tuple[str, ...]:
    paths = [path for path in listed if isinstance(path, str)]
    if RESPONSES_SOCKET in paths and RESPONSES_PATH not in paths:
        paths.append(RESPONSES_PATH)  # every client of the WebSocket may use HTTP instead
    return tuple(paths)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
