"""Decides which of an account's models a name refers to.

There are no model ids here, because Copilot's models are replaced every few weeks. ``default``
refers to the default model, and so does ``auto`` unless a model has this id. Any other name refers
to the first of these that exists:

1. the model with this id, or with another spelling of it (`spellings`);
2. for the name of a family (``sonnet``, ``gpt-mini``): its newest model;
3. the newest model whose id is this name with a date;
4. for a model from 2025 or earlier that clients have as a built-in default (``gpt-4o-mini``): a
model of the same size, with a note that says so.

A user who asks for another retired model receives an error that names its `successor`, rather than
an answer from another model.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

from copilot_proxy.catalogue import MAX_NAME_LENGTH, Alias, Catalogue, Model
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
from copilot_proxy.model_ids import LATEST_TAG, ModelName, is_snapshot, parse_name, spellings

DEFAULT_FAMILY: Final = "sonnet"
"""The default value of the setting `default_model`."""
AUTO: Final = "auto"
"""The name with which clients let Copilot choose a model for each prompt. Copilot only does so for
clients that have first asked it to."""
_TYPO_CUTOFF: Final = 0.85
"""Minimum similarity, from 0 to 1, at which a name is suggested."""


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
"""Family name -> the kind of model to choose if the account lacks the family."""

_SMALL_WORDS: Final = frozenset({"mini", "nano", "small", "lite", "flash", "haiku", "instant"})
_LARGE_WORDS: Final = frozenset({"opus", "large", "ultra", "max"})
_OLD_WORDS: Final = (
    _SMALL_WORDS
    | {"turbo", "chat", "codex", "16k", "32k", "vision", "pro", "thinking", "exp"}
    | {"sonnet", "opus"}
)
"""The words in names of old models. A name with any other word was probably mistyped."""
_OLD_VERSIONS: Final[Mapping[str, frozenset[tuple[int, ...]]]] = {
    "gpt": frozenset({(3, 5), (4,), (4, 1), (4, 5), (5,)}),
    "chatgpt": frozenset({(4,), (5,)}),
    "o": frozenset({(1,), (3,), (4,)}),
    "codex": frozenset({()}),
    "claude": frozenset({(1,), (2,), (2, 1), (3,), (3, 5), (3, 7)}),
    "gemini": frozenset({(1,), (1, 5), (2,), (2, 5)}),
}
"""The versions of old models, by brand."""


class Resolution(NamedTuple):
    """The model that a name refers to."""

    model: Model
    is_substitute: bool = False
    """Whether another model was chosen by size, because the account lacks the named one."""


def alias_of(name: str, aliases: Mapping[str, Alias]) -> Alias | None:
    """Return the user's alias with this name, with or without Ollama's tag, or None."""
    return aliases.get(name) or aliases.get(name.removesuffix(LATEST_TAG))


def without_alias(name: str, aliases: Mapping[str, Alias]) -> str:
    """Return the target of the user's alias `name`, or `name` without Ollama's tag."""
    alias = alias_of(name, aliases)
    return alias.model if alias is not None else name.removesuffix(LATEST_TAG)


def resolve(catalogue: Catalogue, name: str, default_model: str) -> Resolution | None:
    """Return the model that `name` refers to; `default_model` is the one that ``default`` refers
    to.

    Ids take precedence over everything else, so that no live model is hidden.
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
    resolution = (
        _by_family(catalogue, parse_name(name))
        or _snapshot(catalogue, name)
        or _built_in(catalogue, name)
    )
    if resolution is not None and name.endswith("[1m]"):
        return resolution._replace(model=catalogue.long_context_variant(resolution.model))
    return resolution


def default(catalogue: Catalogue, wanted: str) -> Model | None:
    """Return the chat model for ``default``: the one in the setting, if it can be used.

    Otherwise, return the successor of that model, Copilot's own default, or a mid-sized model. The
    most expensive models are only returned if the setting names them.
    """
    if wanted in ("default", AUTO):
        wanted = ""
    is_own = wanted not in ("", DEFAULT_FAMILY)
    if wanted and (resolution := resolve(catalogue, wanted, wanted)):
        is_costly = size_of(resolution.model) is Size.MOST_EXPENSIVE
        if is_ready(resolution.model) and (is_own or not (resolution.is_substitute or is_costly)):
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
        if not model or not is_ready(model) or model.retirement:
            continue
        if size_of(model) < Size.MOST_EXPENSIVE:
            return model
    return of_size(catalogue, Kind("", Size.MIDDLE)) or next(iter(catalogue.chat), None)


def successor(catalogue: Catalogue, name: str, size: Size | None = None) -> Model | None:
    """Return the model that replaces `name`, or None.

    The replacement is a newer model from the same family or, failing that, of the same brand and
    size. `size` is the size of the model `name`, if known; a word in the name, such as ``mini``,
    takes precedence.
    """
    parts = parse_name(name[:MAX_NAME_LENGTH])
    if not parts.version:
        return None
    model = catalogue.get(name)
    brand, named_size = _kind(parts)
    size = named_size or size or (size_of(model) if model else Size.MIDDLE)
    return successor_of(catalogue, parts, Kind(brand, size))


def needs_catalogue(name: str) -> bool:
    """Return whether `name` can only be the name of a family, and not one of Copilot's ids."""
    return parse_name(name).family in FAMILY_NAMES and not parse_name(name).version


def suggestion(catalogue: Catalogue, name: str) -> str:
    """Return a sentence that says what to use instead of `name`, or "" if nothing is similar."""
    near, parts = similar_ids(catalogue, name), parse_name(name[:MAX_NAME_LENGTH])
    newer = successor(catalogue, name)
    heir = newer or newest(catalogue, family_of(catalogue.chat, parts))
    is_same = len(near) == 1 and near[0].lower() in (name.lower(), name.lower().rpartition("/")[2])
    if heir is None or is_same:
        return f"Did you mean {', '.join(near)}?" if near else ""
    # If no model has this word, the name was probably mistyped.
    words = {word for model in catalogue.chat for word in model.parts.words} | _OLD_WORDS
    if not words.issuperset(parts.words) and get_close_matches(
        name.lower(), near, cutoff=_TYPO_CUTOFF
    ):
        return f"Did you mean {', '.join(near)}? Otherwise, use {heir.id}."
    if newer is None:
        return f"The newest model of its family is {heir.id}."
    return f"Use its successor {heir.id}."


def similar_ids(catalogue: Catalogue, name: str) -> list[str]:
    """Return up to three chat model ids that resemble `name` or, failing that, one family name.

    If `name` differs from an id only in case, or by a vendor prefix that other services use
    (``openai/gpt-4.1``), returns just that id.
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
    """Return the newest model of a family, or None. A name with a version is not a family name."""
    if parts.version:
        return None
    if not parts.words and parts.brand in FAMILY_NAMES:  # a brand, or a kind of Claude
        model = of_brand(catalogue, FAMILY_NAMES[parts.brand]) if _is_brand(parts) else None
        if model is not None:
            return Resolution(model)
    family = family_of(catalogue.chat, parts)
    # ``sonnet`` is short for ``claude-sonnet``, unless another brand has a family with that name.
    short = [m for m in catalogue.chat if m.parts.words == (parts.brand, *parts.words)]
    if len({m.parts.brand for m in short}) > 1:
        short = []
    model = newest(catalogue, family or short)
    return Resolution(model) if model is not None else None


def _is_brand(parts: ModelName) -> bool:
    return FAMILY_NAMES[parts.brand].brand == parts.brand


def _snapshot(catalogue: Catalogue, name: str) -> Resolution | None:
    """Return the newest model whose id is `name` with a date, or None."""
    found = [m for m in catalogue.chat if is_snapshot(m.id, name) and is_ready(m)]
    return Resolution(max(found, key=lambda model: model.id)) if found else None


def _built_in(catalogue: Catalogue, name: str) -> Resolution | None:
    """Return a substitute for a model whose name is built into clients, or None for other names."""
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
    """Return whether this is a name from 2025 or earlier, which clients may have built in."""
    is_name = parts.version in _OLD_VERSIONS.get(parts.brand, ())
    return is_name and _OLD_WORDS.issuperset(parts.words)


def _kind(parts: ModelName) -> tuple[str, Size | None]:
    """Return the brand and size that a name suggests; the size may be None."""
    brand = "gpt" if parts.brand in ("o", "chatgpt", "codex") else parts.brand
    words = {*parts.words}
    if words & _SMALL_WORDS or (brand == "gpt" and parts.version[:2] == (3, 5)):
        return brand, Size.SMALL
    is_large = bool(words & _LARGE_WORDS) or parts.brand == "o"
    return brand, Size.LARGE if is_large else None
