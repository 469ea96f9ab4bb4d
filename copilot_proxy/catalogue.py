"""The models of an account: lenient reading of Copilot's list, and names to models.

Pure. Whatever a model does not say is unknown, never an error: one new vendor, endpoint or
field must not hide the others.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

LONGEST_NAME: Final = 256
"""Characters of a name by which a client may ask for a model."""
ENABLE_URL: Final = "https://github.com/settings/copilot/features"
"""Where a person accepts the terms of a model that GitHub lists as disabled."""

_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    # What clients ask for by habit, and the first live model of which each means.
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
"""With this at the end Claude Code asks for the long context, a model of its own at Copilot."""
LONG_EDITION: Final = "-1m"
"""How the id of such a model ends."""
_FAMILY: Final = re.compile(r"^(?:claude-)?(?:3(?:\.\d)?-)?(?P<family>opus|sonnet|haiku)$")
_CLAUDE: Final = re.compile(r"^claude-(?P<family>[a-z]+)-(?P<major>\d+)(?:\.(?P<minor>\d+))?$")


@dataclass(frozen=True)
class Alias:
    """A name of the person's own for a model, with parameters that then always hold."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of `ALIAS_PARAMETERS`, under the names of chat completions."""


ALIAS_PARAMETERS: Final = ("reasoning_effort", "max_tokens", "temperature", "top_p")


@dataclass(frozen=True)
class Model:
    """One model; `raw` is Copilot's own entry, with everything it said."""

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
        """Whether one can converse with it (not embeddings, not ghost text)."""
        return self.type == "chat"

    @property
    def speaks_chat_completions(self) -> bool:
        """Whether ``/chat/completions`` serves it; a chat model that lists nothing is meant to."""
        return self.is_chat and (not self.endpoints or "/chat/completions" in self.endpoints)

    @property
    def needs_enabling(self) -> bool:
        """Whether its terms have yet to be accepted, at `ENABLE_URL` or by the organisation."""
        policy = self.raw.get("policy")
        return isinstance(policy, Mapping) and policy.get("state") not in (None, "enabled")

    @property
    def is_picked(self) -> bool:
        """Whether Copilot offers it in its own model picker."""
        return self.raw.get("model_picker_enabled") is True

    def limit(self, name: str) -> int | None:
        """A limit in tokens, such as ``max_prompt_tokens``, or None where the list is silent."""
        value = self.limits.get(name)
        return value if type(value) is int and value > 0 else None

    @property
    def reasoning_efforts(self) -> tuple[str, ...]:
        """The values of ``reasoning_effort`` that it takes."""
        value = self.supports.get("reasoning_effort")
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


class Catalogue:
    """The models of one account at one moment, in GitHub's order, each id once."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._by_id: dict[str, Model] = {}
        for model in models:
            self._by_id.setdefault(model.id, model)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, model_id: str) -> Model | None:
        """The model with exactly that id."""
        return self._by_id.get(model_id)

    @property
    def usable(self) -> list[Model]:
        """What a client may be shown: chat and embeddings models."""
        return [m for m in self._by_id.values() if m.type in ("chat", "embeddings")]

    def resolve(self, name: str, default_model: str) -> Model | None:
        """The live model that `name` means: its id, an alias, or another spelling of a Claude id.

        An alias never hides a live model and only ever points at one.
        """
        if name == "default":
            return self.default(default_model)
        if (model := self._by_id.get(name)) is not None:
            return model
        for candidate in _spellings(name):
            model = self._by_id.get(candidate)
            if model is not None:
                return model
        for candidate in _spellings(name):
            live = [self._by_id[m] for m in _ALIASES.get(candidate, ()) if m in self._by_id]
            if live:
                return next((model for model in live if not model.needs_enabling), live[0])
        for candidate in _spellings(name):
            if family := _FAMILY.match(candidate):
                return self._newest(family["family"])
        return None

    def _newest(self, family: str) -> Model | None:
        """The newest Claude of a family that is enabled, else the newest; no special edition."""
        versions = [
            (not model.needs_enabling, int(match["major"]), int(match["minor"] or 0), model.id)
            for model in self._by_id.values()
            if (match := _CLAUDE.match(model.id)) and match["family"] == family
        ]
        return self._by_id[max(versions)[-1]] if versions else None

    def default(self, wanted: str) -> Model | None:
        """`wanted` if the account has it, else Copilot's own default for chat, else any."""
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

    def longer(self, model: Model) -> Model:
        """The edition of `model` that takes a long context, if it may be used; else `model`."""
        longer = self._by_id.get(f"{model.id}{LONG_EDITION}")
        return model if longer is None or longer.needs_enabling else longer

    @property
    def offered(self) -> list[Model]:
        """The chat models of Copilot's own menu that can be used right away."""
        return [
            m for m in self._by_id.values() if m.is_chat and m.is_picked and not m.needs_enabling
        ]

    def nearest(self, name: str) -> list[str]:
        """Up to three ids that look like `name`, or the one that it spells in capitals or with a
        vendor in front, as other services do. Comparing a name that is too long would take long."""
        if len(name) > LONGEST_NAME:
            return []
        ids = {m.id.lower(): m.id for m in self._by_id.values() if m.is_chat}
        wanted = name.lower()
        for spelling in (wanted, wanted.rpartition("/")[2]):
            if spelling in ids:
                return [ids[spelling]]
        return [ids[near] for near in get_close_matches(wanted, ids, n=3, cutoff=0.5)]


def _spellings(name: str) -> Sequence[str]:
    """`name`, then without its date, then with Copilot's dots: ``claude-opus-4-7-20260401``."""
    long = name.endswith(_LONG_CONTEXT)
    undated = _DATE.sub("", name.removesuffix(_LONG_CONTEXT))
    dotted = _DASHED_VERSION.sub(r"-\1.\2", undated)
    longer = (f"{undated}{LONG_EDITION}", f"{dotted}{LONG_EDITION}") if long else ()
    return tuple(dict.fromkeys((name, *longer, undated, dotted)))


def parse_models(payload: object) -> Catalogue:
    """Copilot's answer to ``GET /models``, ``{"data": [...]}``; entries without an id are skipped.

    Raises `ValueError` when it is no such list, or names no model at all.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else payload
    if not isinstance(data, list):
        raise ValueError("no list of models")
    catalogue = Catalogue(
        model for entry in data if isinstance(entry, Mapping) and (model := _model(entry))
    )
    if not len(catalogue):
        raise ValueError("it names no model")
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
        # An entry that names no type is taken for a chat model: most are.
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
