"""Loads the settings from flags, the environment, ``config.toml`` and the defaults.

Each of these sources overrides the ones after it. In the environment, a setting's name is in
uppercase, with the prefix ``COPILOT_PROXY_``. In ``config.toml``, the table of the profile in use
overrides the settings at the top level.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy import ENVIRONMENT_PREFIX
from copilot_proxy.errors import UsageError, join_sentences
from copilot_proxy.settings import profiles
from copilot_proxy.settings.config_file import read_config, read_secret
from copilot_proxy.settings.folders import config_dir, state_dir
from copilot_proxy.settings.settings import Settings
from copilot_proxy.settings.tables import check_distinct

INSTANCE_VARIABLE: Final = f"{ENVIRONMENT_PREFIX}INSTANCE"
"""The environment variable with the id of a service. It is not a setting."""
_SECRETS: Final = ("github_token", "api_key")
"""Secrets that can also be read from a file, as is usual in containers. The variable ``…_FILE``
names the file."""
_FILE: Final = "_FILE"
_CONFIG_HINT: Final = "Correct the setting, or remove it to use its default."
_SIMILAR: Final = 0.75
"""Minimum similarity, from 0 to 1, at which a name is suggested."""
_FLAGS: Final = {"cors_origins": "cors_origin"}
"""Setting -> the name of its flag, where the two differ."""

_OnError = Callable[[UsageError], None]


def setting_names() -> dict[str, str]:
    """Map the name of each setting to its help text, in the order of the documentation."""
    return {f.name: f.metadata["help"] for f in fields(Settings) if "parse" in f.metadata}


def load_settings(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings from all four sources. Flags that are None count as not given.

    Raises a `UsageError` that names the source, the setting and the problem.
    """

    def fail(error: UsageError) -> None:
        raise error

    return _load(flags or {}, os.environ if environ is None else environ, fail)


def load_settings_with_errors(
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, list[UsageError]]:
    """Return the settings without the invalid ones, and an error for each invalid one."""
    errors: list[UsageError] = []
    settings = _load({}, os.environ if environ is None else environ, errors.append)
    return settings, errors


def _load(flags: Mapping[str, object], environ: Mapping[str, str], on_error: _OnError) -> Settings:
    """Return the settings. For each invalid one, call `on_error` with the error and, unless that
    raises, leave the setting out."""
    parsers = {f.name: f.metadata["parse"] for f in fields(Settings) if "parse" in f.metadata}
    given = _flags_and_variables(parsers, flags, environ, on_error)
    values: dict[str, Any] = {}

    def read(name: str) -> None:
        try:
            values[name] = _parsed(name, *given[name], parsers[name])
        except UsageError as error:
            on_error(error)
            del given[name]

    for name in ("home_dir", "profile"):
        if name in given:
            read(name)
    read_at = time.time()  # must be set before the file is read, or a later change would be missed
    home, profile = values.get("home_dir"), values.get("profile")
    config_file = config_dir(home) / "config.toml"
    config = _config(config_file, parsers, on_error)
    own = {f.name for f in fields(Settings) if f.metadata.get("own")}
    for name, entry in config.settings(profile, own, config_file).items():
        if name in parsers and name != "profile":
            given.setdefault(name, entry)
    if profile is not None:
        given.setdefault("port", (profiles.default_port(profile), f"profile {profile}"))
    for name in [name for name in given if name not in values]:
        read(name)
    sources = dict.fromkeys(parsers, "default")
    sources.update({name: source for name, (_, source) in given.items()})
    settings = Settings(**values, sources=MappingProxyType(sources))
    used = profiles.names_in(settings.shared_data_dir, state_dir(home))
    settings = replace(
        settings,
        known_profiles=tuple(sorted({*config.tables, *used})),
        instance=environ.get(INSTANCE_VARIABLE),
        read_at=read_at,
    )
    try:
        check_distinct(settings.keys)
    except ValueError as error:
        on_error(UsageError(f"The API keys are invalid: {error}."))
    return settings


def _flags_and_variables(
    names: Iterable[str],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    on_error: _OnError,
) -> dict[str, tuple[object, str]]:
    """Return the value and source of each setting that has a flag or variable."""
    given: dict[str, tuple[object, str]] = {}
    for name in names:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            given[name] = (environ[variable], variable)
        elif name in _SECRETS and environ.get(f"{variable}{_FILE}"):
            variable += _FILE
            try:
                given[name] = (read_secret(Path(environ[variable]), variable), variable)
            except UsageError as error:
                on_error(error)
        if flags.get(name) is not None:
            given[name] = (flags[name], "flag")
    return given


def _config(file: Path, known: Mapping[str, object], on_error: _OnError) -> profiles.Config:
    """Return the contents of ``config.toml``, after checking the names of its settings."""
    try:
        config = profiles.split(read_config(file), file)
    except UsageError as error:
        on_error(error)
        return profiles.Config({}, {})
    for place, name in config.names(file):
        if name == "profile":
            hint = f"Use --profile or {ENVIRONMENT_PREFIX}PROFILE."
            on_error(UsageError(f"{place} cannot set the profile.", hint=hint))
        elif name not in known:
            hint = _suggestion(name, known) or _CONFIG_HINT
            on_error(UsageError(f"{place} has an unknown setting, {name!r}.", hint=hint))
    return config


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable with our prefix that is not a setting."""
    # Names are compared without the prefix: a shared prefix makes unrelated names look similar.
    known = {name.upper(): "" for name in setting_names()}
    known |= {f"{name.upper()}{_FILE}": "" for name in _SECRETS}
    names = [
        name.removeprefix(ENVIRONMENT_PREFIX)
        for name in sorted(environ)
        if name.startswith(ENVIRONMENT_PREFIX) and name != INSTANCE_VARIABLE
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
