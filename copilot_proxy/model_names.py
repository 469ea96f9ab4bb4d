"""Decides which model of an account a name means.

Pure. No id of a model is written here, since Copilot's models replace each other every few weeks.
A name means, in this order:

1. the model with that id, or with another spelling of it (`spellings`); ``default``, and ``auto``
   if there is no such id, mean the default model;
2. for the name of a family (``sonnet``, ``gpt-mini``): its newest model;
3. for a name that clients have built in as their default (``gpt-4o-mini``): a model of the same
   size, as the answer's notes then say. These are the models of 2025 and before;
4. otherwise nothing. If it was a real model, its user chose it, and gets an error that names its
   `successor` instead of another model's answer.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

from copilot_proxy.catalogue import MAX_NAME_LENGTH, Catalogue, Model
from copilot_proxy.model_choice import (
    Kind,
    Size,
    family_of,
    is_ready,
    newest,
    of_brand,
    of_size,
    size_of,
    successor_of,
)
from copilot_proxy.model_ids import ModelName, parse_name, spellings

DEFAULT_FAMILY: Final = "sonnet"
"""The default of the setting `default_model`."""
AUTO: Final = "auto"
"""What clients call a model that is chosen for each prompt; Copilot does that only for clients that
ask it first."""
_TYPO_CUTOFF: Final = 0.85
"""How similar, from 0 to 1, a name has to be to one that is suggested."""


FAMILY_NAMES: Final[Mapping[str, Kind]] = {
    "claude": Kind("claude", Size.MIDDLE),
    "claude-sonnet": Kind("claude", Size.MIDDLE),
    "claude-opus": Kind("claude", Size.LARGE),
    "claude-haiku": Kind("claude", Size.SMALL),
    "sonnet": Kind("claude", Size.MIDDLE),
    "opus": Kind("claude", Size.LARGE),
    "haiku": Kind("claude", Size.SMALL),
    "gpt": Kind("gpt", Size.MIDDLE),
    "gpt-codex": Kind("gpt", Size.MIDDLE),
    "gpt-mini": Kind("gpt", Size.SMALL),
    "gpt-nano": Kind("gpt", Size.SMALL),
    "gemini": Kind("gemini", Size.MIDDLE),
    "gemini-pro": Kind("gemini", Size.MIDDLE),
    "gemini-flash": Kind("gemini", Size.SMALL),
    "grok": Kind("grok", Size.MIDDLE),
    "kimi": Kind("kimi", Size.MIDDLE),
    "mai": Kind("mai", Size.MIDDLE),
}
"""Names of families that always mean some model, whether or not the account has that family."""

_SMALL_WORDS: Final = frozenset({"mini", "nano", "small", "lite", "flash", "haiku", "instant"})
_LARGE_WORDS: Final = frozenset({"opus", "large", "ultra", "max"})
_OLD_WORDS: Final = (
    _SMALL_WORDS
    | {"turbo", "chat", "codex", "16k", "32k", "vision", "pro", "thinking", "exp"}
    | {"sonnet", "opus"}
)
"""The words in names of old models. With another word, a name is a mistyped one."""
_OLD_VERSIONS: Final[Mapping[str, frozenset[tuple[int, ...]]]] = {
    "gpt": frozenset({(3, 5), (4,), (4, 1), (4, 5), (5,)}),
    "chatgpt": frozenset({(4,), (5,)}),
    "o": frozenset({(1,), (3,), (4,)}),
    "codex": frozenset({()}),
    "claude": frozenset({(1,), (2,), (2, 1), (3,), (3, 5), (3, 7)}),
    "gemini": frozenset({(1,), (1, 5), (2,), (2, 5)}),
}
"""By brand, the versions of old models."""


class Resolution(NamedTuple):
    """What a name means."""

    model: Model
    is_substitute: bool = False
    """Whether the account has no such model, and this one was chosen by its size."""


def resolve(catalogue: Catalogue, name: str, default_model: str) -> Resolution | None:
    """Return what `name` means; `default_model` is what ``default`` means.

    An id takes precedence over everything else, so that no live model is hidden.
    """
    if name == "default":
        model = default(catalogue, default_model)
        return Resolution(model) if model is not None else None
    if name == AUTO and catalogue.get(name) is None:
        model = default(catalogue, default_model)
        return Resolution(model, is_substitute=True) if model is not None else None
    for spelling in spellings(name):
        if (model := catalogue.get(spelling)) is not None:
            return Resolution(model)
    if len(name) > MAX_NAME_LENGTH or "/" in name or name != name.lower():
        return None
    resolution = _by_family(catalogue, parse_name(name)) or _built_in(catalogue, name)
    if resolution is not None and name.endswith("[1m]"):
        return resolution._replace(model=catalogue.long_context_variant(resolution.model))
    return resolution


def default(catalogue: Catalogue, wanted: str) -> Model | None:
    """Return the chat model for ``default``: what the setting says, if it can be used.

    Otherwise the successor of the configured model, Copilot's own default, or a mid-sized model;
    never the most expensive, unless the setting names it.
    """
    if wanted in ("default", AUTO):
        wanted = ""
    is_own = wanted not in ("", DEFAULT_FAMILY)
    if wanted and (resolution := resolve(catalogue, wanted, wanted)):
        is_dear = size_of(resolution.model) is Size.DEAREST
        if is_ready(resolution.model) and (is_own or not (resolution.is_substitute or is_dear)):
            return resolution.model
    candidates: list[Model | None] = []
    if is_own:
        candidates = [
            successor(catalogue, wanted),
            newest(catalogue, family_of(catalogue.chat, parse_name(wanted[:MAX_NAME_LENGTH]))),
        ]
    for key in ("is_chat_default", "is_chat_fallback"):
        candidates += [model for model in catalogue.chat if model.raw.get(key) is True]
    for model in candidates:
        if model and is_ready(model) and not model.retirement and size_of(model) < Size.DEAREST:
            return model
    return of_size(catalogue, Kind("", Size.MIDDLE)) or next(iter(catalogue.chat), None)


def successor(catalogue: Catalogue, name: str, size: Size | None = None) -> Model | None:
    """Return the model that takes the place of `name`, or None.

    It is a newer model of the same family, else of the same brand and size. `size` is the model's
    own, if it is known; a word in its name, such as ``mini``, takes precedence.
    """
    parts = parse_name(name[:MAX_NAME_LENGTH])
    if not parts.version:
        return None
    model = catalogue.get(name)
    brand, named_size = _kind(parts)
    size = named_size or size or (size_of(model) if model else Size.MIDDLE)
    return successor_of(catalogue, parts, Kind(brand, size))


def needs_catalogue(name: str) -> bool:
    """Return whether `name` can only be the name of a family, and not an id of Copilot's."""
    return parse_name(name).family in FAMILY_NAMES and not parse_name(name).version


def suggestion(catalogue: Catalogue, name: str) -> str:
    """Return a sentence that says what to use instead of `name`; empty if nothing is similar."""
    near, parts = similar_ids(catalogue, name), parse_name(name[:MAX_NAME_LENGTH])
    newer = successor(catalogue, name)
    heir = newer or newest(catalogue, family_of(catalogue.chat, parts))
    is_same = len(near) == 1 and near[0].lower() in (name.lower(), name.lower().rpartition("/")[2])
    if heir is None or is_same:
        return f"Did you mean {', '.join(near)}?" if near else ""
    # With a word that no model has, it is rather a mistyped name.
    words = {word for model in catalogue.chat for word in model.parts.words} | _OLD_WORDS
    if not words.issuperset(parts.words) and get_close_matches(
        name.lower(), near, cutoff=_TYPO_CUTOFF
    ):
        return f"Did you mean {', '.join(near)}? Otherwise use {heir.id}."
    if newer is None:
        return f"The newest model of its family is {heir.id}."
    return f"Use its successor {heir.id}."


def similar_ids(catalogue: Catalogue, name: str) -> list[str]:
    """Return up to three chat model ids that resemble `name`, or else a family.

    If `name` is an id in other case, or with a vendor prefix as other services use it
    (``openai/gpt-4.1``), returns only that id.
    """
    if len(name) > MAX_NAME_LENGTH:
        return []  # comparing long names is slow
    ids = {m.id.lower(): m.id for m in catalogue.chat}
    wanted = name.lower()
    for spelling in (wanted, wanted.rpartition("/")[2]):
        if spelling in ids:
            return [ids[spelling]]
    near = [ids[one] for one in get_close_matches(wanted, ids, n=3, cutoff=0.7)]
    if near:
        return near
    families = [one for one in FAMILY_NAMES if resolve(catalogue, one, one)]
    return get_close_matches(wanted, families, n=1, cutoff=0.7)


def _by_family(catalogue: Catalogue, parts: ModelName) -> Resolution | None:
    """Return the newest model of a family that is named without a version."""
    if parts.version:
        return None
    if not parts.words and parts.brand in FAMILY_NAMES:  # a brand, or a kind of Claude
        model = of_brand(catalogue, FAMILY_NAMES[parts.brand]) if _is_brand(parts) else None
        if model is not None:
            return Resolution(model)
    family = family_of(catalogue.chat, parts)
    # ``sonnet`` is short for ``claude-sonnet``, if no other brand has a family of that name.
    short = [m for m in catalogue.chat if m.parts.words == (parts.brand, *parts.words)]
    if len({m.parts.brand for m in short}) > 1:
        short = []
    model = newest(catalogue, family or short)
    return Resolution(model) if model is not None else None


def _is_brand(parts: ModelName) -> bool:
    return FAMILY_NAMES[parts.brand].brand == parts.brand


def _built_in(catalogue: Catalogue, name: str) -> Resolution | None:
    """Return a model of the same size for a name that clients have built in, else None."""
    parts = parse_name(name)
    kind = FAMILY_NAMES.get(parts.family) if not parts.version else None
    if kind is None and _is_old(parts):
        family = family_of(catalogue.chat, parts)
        if parts.brand == "claude" and (model := newest(catalogue, family)):
            return Resolution(model, is_substitute=True)
        brand, size = _kind(parts)
        kind = Kind(brand, size or Size.MIDDLE)
    model = of_size(catalogue, kind) if kind is not None else None
    return Resolution(model, is_substitute=True) if model is not None else None


def _is_old(parts: ModelName) -> bool:
    """Return whether it is a model of 2025 or before, whose names clients have built in."""
    is_name = parts.version in _OLD_VERSIONS.get(parts.brand, ())
    return is_name and _OLD_WORDS.issuperset(parts.words)


def _kind(parts: ModelName) -> tuple[str, Size | None]:
    """Return the brand and the size that a name suggests; None if it suggests no size."""
    brand = "gpt" if parts.brand in ("o", "chatgpt", "codex") else parts.brand
    words = {*parts.words}
    if words & _SMALL_WORDS or (brand == "gpt" and parts.version[:2] == (3, 5)):
        return brand, Size.SMALL
    is_large = bool(words & _LARGE_WORDS) or parts.brand == "o"
    return brand, Size.LARGE if is_large else None
