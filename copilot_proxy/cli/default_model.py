"""What `default` means, by the catalogue's rule, and a word when it is not what was set."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings


def default_model(catalogue: "Catalogue", settings: "Settings") -> "Model | None":
    """The model that a request for ``default`` gets."""
    return catalogue.default(_wanted(settings))


def is_chosen(settings: "Settings") -> bool:
    """Whether the person has said what ``default`` is to mean."""
    return settings.sources.get("default_model", "default") != "default"


def not_the_wanted(catalogue: "Catalogue", settings: "Settings") -> str | None:
    """A sentence, if the model that the person has set is not the one that is used."""
    wanted = _wanted(settings)
    used = catalogue.default(wanted)
    if not is_chosen(settings) or used is None:
        return None
    meant = catalogue.resolve(wanted, wanted)
    if meant is used:
        return None
    if meant is None:
        why = f"The account has no model {settings.default_model!r}"
    elif meant.needs_enabling:
        why = f"The model {meant.id!r} needs enabling"
    else:
        why = f"The model {meant.id!r} is for {meant.type}, not for chat"
    return f"{why}; default means {used.id}."


def _wanted(settings: "Settings") -> str:
    alias = settings.aliases.get(settings.default_model)
    return alias.model if alias is not None else settings.default_model
