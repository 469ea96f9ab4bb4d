"""Chooses a family's model, the default model, or a model's successor, by size and age.

A model's size is based on GitHub's category for it, or on its price if it has no category. A model
that needs enabling or will be retired is chosen only if there is no other.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from copilot_proxy.catalogue import Catalogue, Model
from copilot_proxy.model_ids import ModelName
from copilot_proxy.model_prices import PriceClass


class Size(IntEnum):
    """The size of a model, from GitHub's category or its price."""

    SMALL = 1
    MIDDLE = 2
    LARGE = 3
    MOST_EXPENSIVE = 4
    """Never chosen if there is another model."""


class Kind(NamedTuple):
    """The brand and size to look for if a family has no model; "" means any brand."""

    brand: str
    size: Size


_CATEGORIES: Final = {
    "lightweight": Size.SMALL,
    "versatile": Size.MIDDLE,
    "powerful": Size.LARGE,
}
"""GitHub's ``model_picker_category`` -> size."""
_BY_PRICE: Final = {
    PriceClass.LOW: Size.SMALL,
    PriceClass.MEDIUM: Size.MIDDLE,
    PriceClass.HIGH: Size.LARGE,
}


def size_of(model: Model) -> Size:
    """Return a model's size, from GitHub's category or else its price; medium by default."""
    if model.price_class is PriceClass.VERY_HIGH:
        return Size.MOST_EXPENSIVE
    category = model.raw.get("model_picker_category")
    if isinstance(category, str) and category in _CATEGORIES:
        return _CATEGORIES[category]
    return Size.MIDDLE if model.price_class is None else _BY_PRICE[model.price_class]


def is_ready(model: Model) -> bool:
    """Return whether the account can use the model for chat, on an API that this program
    supports."""
    return model.is_chat and model.is_served and not model.needs_enabling


def of_brand(catalogue: Catalogue, kind: Kind) -> Model | None:
    """Return the newest model of a brand and size.

    If there is none, the nearest size is used, but never the most expensive one.

    A model whose name has no words after the brand, such as ``kimi-k3``, is the brand's main model,
    and counts as mid-sized.
    """
    usable = _usable(catalogue, kind.brand)
    for size in _by_nearness(kind.size):
        plain = size is Size.MIDDLE
        found = [m for m in usable if size_of(m) is size or (plain and not m.parts.words)]
        if model := newest(catalogue, [m for m in found if size_of(m) < Size.MOST_EXPENSIVE]):
            return model
    return None


def successor_of(catalogue: Catalogue, parts: ModelName, kind: Kind) -> Model | None:
    """Return the newest model that can replace the model with the name `parts`, or None.

    The successor is a newer model: from the same family if possible, otherwise of `kind`'s brand
    and size. If there is none of that size, the successor has the nearest size, preferably a larger
    one.
    """
    newer = [m for m in _usable(catalogue, kind.brand) if _is_newer(m.parts, parts)]
    if family := family_of(newer, parts) or family_of(newer, parts.plain):
        return newest(catalogue, family)
    plain = [model for model in newer if model.parts == model.parts.plain]
    largest = max(kind.size, Size.LARGE)
    for size in sorted(Size, key=lambda size: (abs(size - kind.size), -size)):
        # A model without words in its name is its brand's main model; see `of_brand`.
        is_middle = size is Size.MIDDLE
        found = [m for m in plain if size_of(m) is size or (is_middle and not m.parts.words)]
        if model := newest(catalogue, [m for m in found if size_of(m) <= largest]):
            return model
    return None


def _is_newer(one: ModelName, other: ModelName) -> bool:
    if one.brand != other.brand:
        return True  # ``gpt`` succeeds ``o``, whose versions are numbered differently
    if one == other.plain != other:
        return True  # the plain model succeeds its own long-context variant
    return one.version > other.version


def family_of(models: Iterable[Model], parts: ModelName) -> list[Model]:
    """Return those of `models` that belong to the family that `parts` names."""
    return [model for model in models if model.parts.family == parts.family]


def of_size(catalogue: Catalogue, kind: Kind) -> Model | None:
    """Return the newest model of `kind`'s brand and size, or else the cheapest of any brand.

    If there is no model of that size, return a smaller one if possible, otherwise a larger one.
    """
    usable = _usable(catalogue)
    own = [model for model in usable if model.parts.brand == kind.brand]
    sizes = [*_by_nearness(kind.size), Size.MOST_EXPENSIVE]
    larger = sizes[kind.size :]
    for group in (sizes[: kind.size], larger):
        for size in group:
            if model := newest(catalogue, [m for m in own if size_of(m) is size]):
                return model
        for size in group:
            if found := [m for m in usable if size_of(m) is size]:
                return min(found, key=lambda m: (not catalogue.is_picked(m), _price(m)))
    return None


def _by_nearness(wanted: Size) -> list[Size]:
    """Return `wanted`, then the smaller sizes in descending order, then the larger ones except
    `MOST_EXPENSIVE`."""
    smaller = [size for size in reversed(Size) if size < wanted]
    return [wanted, *smaller, *(size for size in Size if wanted < size < Size.MOST_EXPENSIVE)]


def _usable(catalogue: Catalogue, brand: str = "") -> list[Model]:
    """Return a brand's usable models; those that will be retired only if there are no others."""
    ready = [m for m in catalogue.chat if is_ready(m) and brand in ("", m.parts.brand)]
    return [model for model in ready if model.retirement is None] or ready


def newest(catalogue: Catalogue, models: Iterable[Model]) -> Model | None:
    """Return the newest of `models`, preferably one that can be used and will not be retired."""
    return max(
        models,
        key=lambda m: (
            is_ready(m),
            m.retirement is None,
            catalogue.is_picked(m),
            m.parts.version,
            -_price(m),
        ),
        default=None,
    )


def _price(model: Model) -> float:
    """Return a number for comparing prices; models without a price count as the most expensive."""
    if model.token_price is not None:
        return model.token_price.output
    return float(model.price_class or PriceClass.VERY_HIGH) * 1000
