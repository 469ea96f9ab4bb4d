"""Determines the default model, and warns if it is not the configured one."""

from typing import TYPE_CHECKING

from copilot_proxy.cli.retirements import retirement_text
from copilot_proxy.model_names import default, resolve

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings


def default_model(catalogue: "Catalogue", settings: "Settings") -> "Model | None":
    """Return the model that ``default`` stands for, if any."""
    return default(catalogue, _wanted(settings))


def is_configured(settings: "Settings") -> bool:
    """Return whether the user has configured the default model."""
    return settings.sources.get("default_model", "default") != "default"


def default_model_warning(catalogue: "Catalogue", settings: "Settings") -> str | None:
    """Return a warning if the configured default model is not in use, or will be retired."""
    wanted = _wanted(settings)
    used = default(catalogue, wanted)
    if not is_configured(settings) or used is None:
        return None
    configured = resolve(catalogue, wanted, wanted)
    if configured is None or configured.is_substitute:
        reason = f"The account has no model {settings.default_model!r}"
    elif configured.model is used:
        return retirement_text(catalogue, used)
    elif configured.model.needs_enabling:
        reason = f"The model {configured.model.id!r} must be enabled first"
    elif configured.model.is_chat:
        reason = f"The model {configured.model.id!r} cannot be the default model"
    else:
        kind = configured.model.type
        reason = f"The model {configured.model.id!r} is for {kind}, not for chat"
    return f"{reason}; using {used.id} as the default."


def _wanted(settings: "Settings") -> str:
    alias = settings.aliases.get(settings.default_model)
    return alias.model if alias is not None else settings.default_model
