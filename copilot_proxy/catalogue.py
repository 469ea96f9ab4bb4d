"""The models of an account: parses Copilot's list and resolves model names.

Pure. Parsing is lenient: a missing or malformed field of a model is treated as unknown, so that one
odd entry does not hide the other models.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

MAX_NAME_LENGTH: Final = 256
"""Maximum length in characters of a model name in a request."""
ENABLE_URL: Final = "https://github.com/settings/copilot/features"
"""The page for accepting the terms of a model that GitHub lists as disabled."""

_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    # Names that clients use by default. Each means the first of its models that the catalogue has.
    "gpt-4": ("gpt-4.1", "gpt-4o", "gpt-5-mini"),
    "gpt-4-turbo": ("gpt-4.1", "gpt-4o", "gpt-5-mini"),
    "gpt-3.5-turbo": ("gpt-4o-mini", "gpt-5-mini", "gpt-4o", "gpt-4.1"),
    "claude-3-haiku": ("claude-haiku-4.5",),
    "claude-3-sonnet": ("claude-sonnet-4.5", "claude-sonnet-4", "claude-sonnet-4.6"),
    "claude-3.5-sonnet": ("claude-sonnet-4.5", "claude-sonnet-4", "claude-sonnet-4.6"),
    "claude-3-opus": ("claude-opus-4.5", "claude-opus-4.6", "claude-opus-4.7"),
}
_DATE: Final = re.compile(r"-(?:20\d{6}|latest)$")
_DASHED_VERSION: Final = re.compile(r"-(\d)-(\d{1,2})(?=-|$)")
_LONG_CONTEXT: Final = "[1m]"
"""Claude Code's suffix for a long context, which Copilot offers as a separate model."""
LONG_CONTEXT_SUFFIX: Final = "-1m"
"""The suffix of that model's id."""
_FAMILY: Final = re.compile(r"^(?:claude-)?(?:3(?:\.\d)?-)?(?P<family>opus|sonnet|haiku)$")
_CLAUDE: Final = re.compile(r"^claude-(?P<family>[a-z]+)-(?P<major>\d+)(?:\.(?P<minor>\d+))?$")


@dataclass(frozen=True)
class Alias:
    """A user-defined name for a model, with parameters that override those of the request."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Some of `ALIAS_PARAMETERS`, under their names in chat completions."""


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

    @property
    def is_chat(self) -> bool:
        """Whether it is a chat model, as opposed to embeddings or code completion."""
        return self.type == "chat"

    @property
    def needs_enabling(self) -> bool:
        """Whether the user or the organisation must first enable it, at `ENABLE_URL`."""
        policy = self.raw.get("policy")
        return isinstance(policy, Mapping) and policy.get("state") not in (None, "enabled")

    @property
    def in_picker(self) -> bool:
        """Whether it is in Copilot's own model picker."""
        return self.raw.get("model_picker_enabled") is True

    def limit(self, name: str) -> int | None:
        """Return a limit such as ``max_prompt_tokens``, or None if the list does not give it."""
        value = self.limits.get(name)
        return value if type(value) is int and value > 0 else None

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """The values of ``reasoning_effort`` that it accepts."""
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
        """Return the model with exactly that id, or None."""
        return self._by_id.get(model_id)

    @property
    def usable(self) -> list[Model]:
        """The models to show to clients: chat and embeddings models."""
        return [m for m in self._by_id.values() if m.type in ("chat", "embeddings")]

    def resolve(self, name: str, default_model: str) -> Model | None:
        """Return the model for `name`: an id, a built-in alias, or a variant of a Claude id.

        An id takes precedence over an alias, and an alias only resolves to a model of the account.
        Returns None if there is no such model.
        """
        if name == "default":
            return self.default(default_model)
        if (model := self._by_id.get(name)) is not None:
            return model
        for candidate in _name_variants(name):
            model = self._by_id.get(candidate)
            if model is not None:
                return model
        for candidate in _name_variants(name):
            live = [self._by_id[m] for m in _ALIASES.get(candidate, ()) if m in self._by_id]
            if live:
                return next((model for model in live if not model.needs_enabling), live[0])
        for candidate in _name_variants(name):
            if family := _FAMILY.match(candidate):
                return self._newest(family["family"])
        return None

    def _newest(self, family: str) -> Model | None:
        """Return the newest Claude model of a family, preferably an enabled one; no variants."""
        versions = [
            (not model.needs_enabling, int(match["major"]), int(match["minor"] or 0), model.id)
            for model in self._by_id.values()
            if (match := _CLAUDE.match(model.id)) and match["family"] == family
        ]
        return self._by_id[max(versions)[-1]] if versions else None

    def default(self, wanted: str) -> Model | None:
        """Return the model `wanted` if it is usable, else Copilot's default chat model, else any
        chat model."""
        chat = [m for m in self._by_id.values() if m.is_chat]
        if wanted != "default":
            model = self.resolve(wanted, wanted)
            if model is not None and model.is_chat and not model.needs_enabling:
                return model
        enabled = [m for m in chat if not m.needs_enabling]
        for key in ("is_chat_default", "is_chat_fallback", "model_picker_enabled"):
            for model in enabled:
                if model.raw.get(key) is True:
                    return model
        return next(iter(enabled or chat), None)

    def long_context_variant(self, model: Model) -> Model:
        """Return the long-context variant of `model` if there is one and it is enabled, else
        `model`."""
        variant = self._by_id.get(f"{model.id}{LONG_CONTEXT_SUFFIX}")
        return model if variant is None or variant.needs_enabling else variant

    @property
    def picker_models(self) -> list[Model]:
        """The enabled chat models in Copilot's own model picker."""
        return [
            m for m in self._by_id.values() if m.is_chat and m.in_picker and not m.needs_enabling
        ]

    def similar_ids(self, name: str) -> list[str]:
        """Return up to three chat model ids that resemble `name`.

        If `name` is an id in other case, or with a vendor prefix as other services use it
        (``openai/gpt-4.1``), returns only that id.
        """
        if len(name) > MAX_NAME_LENGTH:
            return []  # comparing long names is slow
        ids = {m.id.lower(): m.id for m in self._by_id.values() if m.is_chat}
        wanted = name.lower()
        for spelling in (wanted, wanted.rpartition("/")[2]):
            if spelling in ids:
                return [ids[spelling]]
        return [ids[near] for near in get_close_matches(wanted, ids, n=3, cutoff=0.5)]


def _name_variants(name: str) -> Sequence[str]:
    """Return `name`, `name` without its date, and that with dots in its version.

    For example ``claude-opus-4-7-20260401``, ``claude-opus-4-7`` and ``claude-opus-4.7``.
    """
    is_long = name.endswith(_LONG_CONTEXT)
    undated = _DATE.sub("", name.removesuffix(_LONG_CONTEXT))
    dotted = _DASHED_VERSION.sub(r"-\1.\2", undated)
    long = (f"{undated}{LONG_CONTEXT_SUFFIX}", f"{dotted}{LONG_CONTEXT_SUFFIX}") if is_long else ()
    return tuple(dict.fromkeys((name, *long, undated, dotted)))


def parse_models(payload: object) -> Catalogue:
    """Parse Copilot's response to ``GET /models``, ``{"data": [...]}``; skip entries without an id.

    Raises `ValueError` if it is not such a list, or contains no model.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else payload
    if not isinstance(data, list):
        raise ValueError("it is not a list of models")
    catalogue = Catalogue(
        model for entry in data if isinstance(entry, Mapping) and (model := _model(entry))
    )
    if not len(catalogue):
        raise ValueError("it contains no model")
    return catalogue


def _model(entry: Mapping[str, Any]) -> Model | None:
    model_id = entry.get("id")
    if not isinstance(model_id, str) or not model_id:
        return None
    capabilities = _mapping(entry.get("capabilities"))
    endpoints = entry.get("supported_endpoints")
    return Model(
        id=model_id,
        name=_text(entry.get("name")) or model_id,
        vendor=_text(entry.get("vendor")) or "unknown",
        # Most models are chat models, so that is the default for an entry without a type.
        type=_text(capabilities.get("type")) or "chat",
        family=_text(capabilities.get("family")) or model_id,
        endpoints=tuple(e for e in endpoints if isinstance(e, str))
        if isinstance(endpoints, list)
        else (),
        supports=_mapping(capabilities.get("supports")),
        limits=_mapping(capabilities.get("limits")),
        raw=entry,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
