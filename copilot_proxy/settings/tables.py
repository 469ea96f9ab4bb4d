"""Parses settings that are tables: model aliases and named API keys.

The functions work like those in `values`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from copilot_proxy.api_keys import MIN_KEY_LENGTH, ApiKey
from copilot_proxy.catalogue import ALIAS_PARAMETERS, Alias
from copilot_proxy.masking import Secret
from copilot_proxy.settings import values

_KEY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")


def aliases(value: object) -> Mapping[str, Alias]:
    """Parse a table that maps names to models, or a string such as ``fast=gpt-mini,x=y``."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        value = {name.strip(): model.strip() for name, _, model in pairs}
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of names and models")
    return MappingProxyType({str(name): _alias(name, entry) for name, entry in value.items()})


def _alias(name: str, entry: object) -> Alias:
    if isinstance(entry, Alias):
        return entry
    table = {"model": entry} if isinstance(entry, str) else entry
    if not isinstance(table, Mapping) or not isinstance(table.get("model"), str):
        raise ValueError(f"{name!r} has no model")
    if not name or not table["model"]:
        raise ValueError("the name or the model of an alias is empty")
    parameters = {key: parameter for key, parameter in table.items() if key != "model"}
    for key in parameters:
        if key not in ALIAS_PARAMETERS:
            allowed = ", ".join(ALIAS_PARAMETERS)
            raise ValueError(f"{name!r} has the unknown parameter {key!r}; use only {allowed}")
    return Alias(table["model"], MappingProxyType(parameters))


def api_keys(value: object) -> tuple[ApiKey, ...]:
    """Parse a table that maps names to keys, or a string such as ``laptop=KEY1,ci=KEY2``.

    Error messages never show a key, or text that may be a misplaced key.
    """
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("expected NAME=KEY pairs, separated by commas")
        if len({name.strip() for name, _, _ in pairs}) < len(pairs):
            raise ValueError("it contains a name twice")
        value = {name.strip(): key.strip() for name, _, key in pairs}
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of names and keys")
    if not value:
        raise ValueError("it is empty")
    keys = tuple(_api_key(name, entry) for name, entry in value.items())
    check_distinct(keys)
    return keys


def check_distinct(keys: tuple[ApiKey, ...]) -> None:
    """Raise `ValueError` if two names have the same key; the log could not distinguish them."""
    seen: dict[Secret, str | None] = {}
    for api_key in keys:
        if api_key.key in seen:
            other = seen[api_key.key]
            name = repr(other) if other else "api_key"
            raise ValueError(f"{api_key.name!r} has the same key as {name}")
        seen[api_key.key] = api_key.name


def _api_key(name: str, entry: object) -> ApiKey:
    if not _KEY_NAME.fullmatch(name):
        raise ValueError(
            "a name must consist of 1 to 24 letters, digits, dots, dashes or underscores, and "
            "start with a letter or digit"
        )
    table = {"key": entry} if isinstance(entry, str) else entry
    if not isinstance(table, Mapping) or not isinstance(table.get("key"), str):
        raise ValueError(f"{name!r} has no key")
    for field in table:
        if field not in ("key", "models"):
            raise ValueError(f"{name!r} has an unknown field; use only key and models")
    key = values.secret(table["key"])
    if key is None or len(key.reveal()) < MIN_KEY_LENGTH:
        raise ValueError(f"the key of {name!r} has fewer than {MIN_KEY_LENGTH} characters")
    if any(char.isspace() for char in key.reveal()):
        raise ValueError(f"the key of {name!r} contains a space")
    models = values.names(table.get("models", ()))
    if "models" in table and not models:
        raise ValueError(f"the list of models for {name!r} is empty, so it would allow no model")
    return ApiKey(key, name, models)
