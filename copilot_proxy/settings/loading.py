"""Loads the settings.

Flags override the environment (``COPILOT_PROXY_`` plus the upper-case name), which overrides
``config.toml``, which overrides the defaults.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy.errors import UsageError, join_sentences
from copilot_proxy.settings import values as parse
from copilot_proxy.settings.config_file import read_config
from copilot_proxy.settings.settings import Settings, config_dir

ENVIRONMENT_PREFIX: Final = "COPILOT_PROXY_"
_CONFIG_HINT: Final = "Correct the setting, or remove it to use its default."
_SIMILAR: Final = 0.75
"""How similar, from 0 to 1, a name is to the one that it was probably meant to be."""
_FLAGS: Final = {"cors_origins": "cors_origin"}
"""Settings whose flag has another name."""


def setting_names() -> dict[str, str]:
    """Return the help text of each setting by its name in lower case, in documentation order."""
    return {f.name: f.metadata["help"] for f in fields(Settings) if "parse" in f.metadata}


def load_settings(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings from all four sources; a flag that is None counts as not given.

    Raises `UsageError` that names the source, the setting and the problem.
    """

    def fail(error: UsageError) -> None:
        raise error

    return _load(flags or {}, os.environ if environ is None else environ, fail)


def load_settings_with_errors(
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, list[UsageError]]:
    """Return the settings without those that are invalid, and an error for each of these."""
    errors: list[UsageError] = []
    settings = _load({}, os.environ if environ is None else environ, errors.append)
    return settings, errors


def _load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    on_error: Callable[[UsageError], None],
) -> Settings:
    """Return the settings; one that is invalid is left out if `on_error` does not raise."""
    parsers = {f.name: f.metadata["parse"] for f in fields(Settings) if "parse" in f.metadata}
    given: dict[str, tuple[object, str]] = {}
    for name in parsers:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            given[name] = (environ[variable], variable)
        if flags.get(name) is not None:
            given[name] = (flags[name], "flag")

    values: dict[str, Any] = {}

    def read(name: str) -> None:
        try:
            values[name] = _parsed(name, *given[name], parsers[name])
        except UsageError as error:
            on_error(error)
            del given[name]

    if "home_dir" in given:
        read("home_dir")
    config_file = config_dir(values.get("home_dir")) / "config.toml"
    try:
        config = read_config(config_file)
    except UsageError as error:
        on_error(error)
        config = {}
    for name, value in config.items():
        if name in parsers:
            given.setdefault(name, (value, str(config_file)))
        else:
            on_error(
                UsageError(
                    f"{config_file} has an unknown setting, {name!r}.",
                    hint=_suggestion(name, parsers) or _CONFIG_HINT,
                )
            )
    for name in [name for name in given if name not in values]:
        read(name)
    sources = dict.fromkeys(parsers, "default")
    sources.update({name: source for name, (_, source) in given.items()})
    settings = Settings(**values, sources=MappingProxyType(sources))
    try:
        parse.check_distinct(settings.keys)
    except ValueError as error:
        on_error(UsageError(f"The API keys are invalid: {error}."))
    return settings


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable with our prefix that is not a setting."""
    # Compared without the prefix, which would make all of them alike.
    known = {name.upper(): "" for name in setting_names()}
    names = [
        name.removeprefix(ENVIRONMENT_PREFIX)
        for name in sorted(environ)
        if name.startswith(ENVIRONMENT_PREFIX)
    ]
    return [
        join_sentences(
            f"There is no setting for the variable {ENVIRONMENT_PREFIX}{name}",
            _suggestion(name, known, ENVIRONMENT_PREFIX),
        )
        for name in names
        if name not in known
    ]


def _parsed(name: str, value: object, source: str, parser: Callable[[object], Any]) -> Any:
    try:
        return parser(value)
    except ValueError as error:
        if source == "flag":
            where = f"--{_FLAGS.get(name, name).replace('_', '-')}"
        else:
            where = source if source.startswith(ENVIRONMENT_PREFIX) else f"{name} in {source}"
        otherwise = "if clients need no key" if "api_key" in name else "to use the default"
        hint = f"Correct it, or omit it {otherwise}."
        raise UsageError(f"{where} is invalid: {error}.", hint=hint) from None


def _suggestion(name: str, known: Mapping[str, object], prefix: str = "") -> str | None:
    matches = get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"Did you mean {prefix + matches[0]!r}?" if matches else None
