"""Determines the default model, with a warning if it is not the configured one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings


def default_model(catalogue: "Catalogue", settings: "Settings") -> "Model | None":
    """Return the model that a request for ``default`` gets, or None if there is none."""
    return catalogue.default(_wanted(settings))


def is_configured(settings: "Settings") -> bool:
    """Return whether the user has configured the default model."""
    return settings.sources.get("default_model", "default") != "default"


def default_model_warning(catalogue: "Catalogue", settings: "Settings") -> str | None:
    """Return a warning if the configured default model is not the one that is used."""
    wanted = _wanted(settings)
    used = catalogue.default(wanted)
    if not is_configured(settings) or used is None:
        return None
    configured = catalogue.resolve(wanted, wanted)
    if configured is used:
        return None
    if configured is None:
        reason = f"The account has no model {settings.default_model!r}"
    elif configured.needs_enabling:
        reason = f"The model {configured.id!r} must be enabled first"
    else:
        reason = f"The model {configured.id!r} is for {configured.type}, not for chat"
    return f"{reason}; using {used.id} as the default."


def _wanted(settings: "Settings") -> str:
    alias = settings.aliases.get(settings.default_model)
    return alias.model if alias is not None else settings.default_model
