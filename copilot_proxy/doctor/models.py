"""Checks the models named in the settings, and looks for unknown values in Copilot's list."""

from collections.abc import Iterator

from copilot_proxy.catalogue import ENABLE_URL, Catalogue
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, ok, skipped, warning
from copilot_proxy.formats.drift import unknown_in_models
from copilot_proxy.model_names import (
    AUTO,
    DEFAULT_FAMILY,
    FAMILY_NAMES,
    Resolution,
    resolve,
    successor,
    suggestion,
)
from copilot_proxy.settings import Settings


def check_models(context: CheckContext) -> Iterator[Result]:
    """Check whether the models in the settings exist, and whether any will be retired soon."""
    catalogue = context.catalogue()
    if catalogue is None:
        yield skipped("Copilot's list of models could not be read.")
        return
    problems = [
        problem
        for where, name in _named(context.settings)
        if name != DEFAULT_FAMILY and (problem := model_problem(catalogue, name, where))
    ]
    yield from problems
    if not catalogue.chat:
        yield warning("The account has no chat models.", f"Enable models at {ENABLE_URL}")
    elif not problems:
        # `login` and `models` show the same number.
        yield ok(f"{len(catalogue.picker_models)} chat models ready")


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each model name in the settings, and where it is set."""
    for setting in ("default_model", "small_model"):
        name = getattr(settings, setting)
        if name and name not in settings.aliases:
            yield settings.place_of(setting), name
    for name, alias in settings.aliases.items():  # an alias must not refer to another alias
        yield f"The alias {name!r} in {settings.sources['aliases']}", alias.model


def model_problem(catalogue: Catalogue, name: str, where: str) -> Result | None:
    """Return what is wrong with a model name, or None. `where` begins a sentence about the name."""
    resolution: Resolution | None = resolve(catalogue, name, DEFAULT_FAMILY)
    if resolution is None:
        hint = suggestion(catalogue, name) or "See: copilot-proxy models"
        return warning(f"{where} names {name}, which the account does not have.", hint)
    model = resolution.model
    if resolution.is_substitute and name not in (*FAMILY_NAMES, "default", AUTO):
        return warning(
            f"{where} names {name}, which the account does not have; {model.id} is used instead.",
            f"Use {model.id} or the name of a family, such as sonnet.",
        )
    if model.needs_enabling:
        return warning(
            f"{where} names {model.id}, which is not enabled.", f"Enable it at {ENABLE_URL}"
        )
    if model.retirement is not None:
        newer = successor(catalogue, model.id)
        when = f" on {model.retirement.on.isoformat()}" if model.retirement.on else " soon"
        remedy = f"Use its successor {newer.id}." if newer else "See: copilot-proxy models"
        return warning(f"{where} names {model.id}, which GitHub retires{when}.", remedy)
    return None


def check_drift(context: CheckContext) -> Iterator[Result]:
    """Check whether Copilot's list contains values unknown to this version; they may be
    harmless."""
    catalogue = context.catalogue()
    if catalogue is None:
        yield skipped("Copilot's list of models could not be read.")
        return
    unknown = sorted({f"{one.kind} {one.name}" for one in unknown_in_models(catalogue)})
    if not unknown:
        yield ok("none in Copilot's list of models")
    else:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        yield ok(f"{len(unknown)} in Copilot's list of models: {shown}")
