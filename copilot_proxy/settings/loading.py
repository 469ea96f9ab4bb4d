"""Loads the settings.

Flags override the environment (``COPILOT_PROXY_`` plus the upper-case name), which overrides
``config.toml``, which overrides the defaults. In ``config.toml``, the table of the profile in use
overrides the settings above it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy.errors import UsageError, join_sentences
from copilot_proxy.settings import profiles
from copilot_proxy.settings import values as parse
from copilot_proxy.settings.config_file import read_config, read_secret
from copilot_proxy.settings.settings import Settings, config_dir, state_dir

ENVIRONMENT_PREFIX: Final = "COPILOT_PROXY_"
INSTANCE_VARIABLE: Final = f"{ENVIRONMENT_PREFIX}INSTANCE"
"""Where a service gets its id from; it is no setting."""
_SECRETS: Final = ("github_token", "api_key")
"""Settings whose value may be in a file that ``…_FILE`` names, as containers pass secrets."""
_FILE: Final = "_FILE"
_CONFIG_HINT: Final = "Correct the setting, or remove it to use its default."
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
    environ = os.environ if environ is None else environ
    parsers = {f.name: f.metadata["parse"] for f in fields(Settings) if "parse" in f.metadata}
    given: dict[str, tuple[object, str]] = {}
    for name in parsers:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            given[name] = (environ[variable], variable)
        elif name in _SECRETS and environ.get(f"{variable}{_FILE}"):
            variable += _FILE
            given[name] = (read_secret(Path(environ[variable]), variable), variable)
        if flags and flags.get(name) is not None:
            given[name] = (flags[name], "flag")

    home = _parsed("home_dir", *given["home_dir"], parse.path) if "home_dir" in given else None
    profile = (
        _parsed("profile", *given["profile"], profiles.profile) if "profile" in given else None
    )
    config_file = config_dir(home) / "config.toml"
    config = read_config(config_file)
    tables = profiles.tables(config, config_file)
    for name, (value, source) in _from_config(config, tables, profile, config_file).items():
        given.setdefault(name, (value, source))
    if profile is not None:
        given.setdefault("port", (profiles.default_port(profile), f"profile {profile}"))

    values = {name: _parsed(name, *given[name], parsers[name]) for name in given}
    sources = dict.fromkeys(parsers, "default")
    sources.update({name: source for name, (_, source) in given.items()})
    settings = Settings(**values, sources=MappingProxyType(sources))
    used = profiles.names_in(settings.shared_data_dir, state_dir(home))
    settings = replace(
        settings,
        known_profiles=tuple(sorted({*tables, *used})),
        instance=environ.get(INSTANCE_VARIABLE),
    )
    try:
        parse.check_distinct(settings.keys)
    except ValueError as error:
        raise UsageError(f"The API keys are invalid: {error}.") from None
    return settings


def _from_config(
    config: Mapping[str, object],
    tables: Mapping[str, Mapping[str, object]],
    profile: str | None,
    file: Path,
) -> dict[str, tuple[object, str]]:
    """Return the settings in ``config.toml`` that apply, with their sources.

    Raises `UsageError` for an unknown setting, also in the table of another profile.
    """
    known = {f.name: f.metadata for f in fields(Settings) if "parse" in f.metadata}
    top = {name: value for name, value in config.items() if name != profiles.TABLE}
    for where, table in {"": top, **tables}.items():
        for name in table:
            place = f"[{profiles.TABLE}.{where}] in {file}" if where else str(file)
            if name == "profile":
                raise UsageError(
                    f"{place} cannot set the profile.",
                    hint=f"Use --profile or {ENVIRONMENT_PREFIX}PROFILE.",
                )
            if name not in known:
                raise UsageError(
                    f"{place} has an unknown setting, {name!r}.",
                    hint=_suggestion(name, known) or _CONFIG_HINT,
                )
    if profile is None:
        return {name: (value, str(file)) for name, value in top.items()}
    shared = {name: value for name, value in top.items() if not known[name].get("own")}
    own = f"[{profiles.TABLE}.{profile}] in {file}"
    return {
        **{name: (value, str(file)) for name, value in shared.items()},
        **{name: (value, own) for name, value in tables.get(profile, {}).items()},
    }


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable with our prefix that is not a setting."""
    known = {ENVIRONMENT_PREFIX + name.upper(): "" for name in setting_names()}
    known |= {f"{ENVIRONMENT_PREFIX}{name.upper()}{_FILE}": "" for name in _SECRETS}
    return [
        join_sentences(f"There is no setting for the variable {name}", _suggestion(name, known))
        for name in sorted(environ)
        if name.startswith(ENVIRONMENT_PREFIX) and name not in {*known, INSTANCE_VARIABLE}
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


def _suggestion(name: str, known: Mapping[str, object]) -> str | None:
    matches = get_close_matches(name, known, n=1)
    return f"Did you mean {matches[0]!r}?" if matches else None
