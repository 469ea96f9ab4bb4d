"""Describes when models retire, and what to use instead."""

from typing import TYPE_CHECKING

from copilot_proxy.model_names import successor

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model


def retirement_text(catalogue: "Catalogue", model: "Model") -> str | None:
    """Say when GitHub retires `model` and what to use instead: ``a-1 retires on 2026-12-14; use a-2
    instead.`` Returns None if no retirement is announced."""
    when = retirement_date(catalogue, model)
    return None if when is None else f"{model.id} retires {when}."


def retirement_date(catalogue: "Catalogue", model: "Model") -> str | None:
    """Say when GitHub retires `model` and what to use instead, as in ``on 2026-12-14; use a-2
    instead``. Returns None if no retirement is announced."""
    if model.retirement is None:
        return None
    when = f"on {model.retirement.on}" if model.retirement.on else "soon"
    heir = successor(catalogue, model.id)
    is_staying = heir is not None and heir.retirement is None
    return f"{when}{f'; use {heir.id} instead' if heir and is_staying else ''}"
