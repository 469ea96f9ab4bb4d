"""Reads the value of a setting from what a file, the environment or a flag gives.

Each function takes what was given and returns the value, or raises `ValueError` with what is wrong
with it, in words for a person.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from copilot_proxy.catalogue import ALIAS_PARAMETERS, Alias
from copilot_proxy.keys import SHORTEST, ApiKey
from copilot_proxy.masking import Secret, mask

_KEY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_LONGEST_HOST: Final = 253
_SWITCH: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def plain_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("it holds a control character")
    return value.strip()


def header_value(value: object) -> str:
    text = plain_text(value)
    if not text or not text.isascii():
        raise ValueError("plain ASCII text is expected")
    return text


def secret(value: object) -> Secret | None:
    text = plain_text(value)
    if not text.isascii():
        raise ValueError("plain ASCII text is expected")
    return Secret(text) if text else None


def key(value: object) -> Secret:
    """Empty is refused: a variable that somebody forgot to fill must not open the server."""
    if (given := secret(value)) is None:
        raise ValueError("it is empty; leave it out if no key is to be asked for")
    return given


def port(value: object) -> int:
    port = whole(value)
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 0 to 65535, not {port}")
    return port


def whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a whole number is expected")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"a whole number is expected, not {_shown(value)}") from None


def _shown(value: object) -> str:
    """What was given, in a message; never to be used for what may be a secret."""
    return repr(mask(str(value)[:40]))


def positive(value: object) -> int:
    number = whole(value)
    if number < 1:
        raise ValueError(f"a whole number above 0 is expected, not {number}")
    return number


def not_negative(value: object) -> int:
    number = whole(value)
    if number < 0:
        raise ValueError(f"a whole number from 0 up is expected, not {number}")
    return number


def switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _SWITCH:
        raise ValueError("true or false is expected")
    return _SWITCH[word]


def seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number of seconds is expected")
    try:
        seconds = float(value)
    except ValueError:
        raise ValueError("a number of seconds is expected") from None
    if not 0 < seconds < 1e6:
        raise ValueError("a number of seconds above 0 is expected")
    return seconds


def hours(value: object) -> float:
    try:
        return seconds(value)
    except ValueError:
        raise ValueError("a number of hours above 0 is expected") from None


def address(value: object) -> str | None:
    text = plain_text(value).rstrip("/")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text
        _ = parts.port  # raises when it is no number
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("an address such as https://github.com is expected")
    if any(char in text for char in "@?#"):
        raise ValueError("an address without user, password, query or fragment is expected")
    name = parts.hostname or ""
    if not is_host(name):
        raise ValueError(f"{_shown(name)} is not a valid host name")
    if parts.scheme == "http" and not is_loopback(name):
        raise ValueError("https is needed for any other host than this machine")
    return text


def required_address(value: object) -> str:
    url = address(value)
    if url is None:
        raise ValueError("it is empty")
    return url


def path(value: object) -> Path | None:
    if isinstance(value, Path):
        return value
    text = plain_text(value)
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError as error:
        raise ValueError("it begins with the home folder of nobody here") from error


def names(value: object) -> tuple[str, ...]:
    """A list, or a text of names with commas between them."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("a list is expected")
    return tuple(text for text in map(plain_text, value) if text)


def origins(value: object) -> tuple[str, ...]:
    origins = tuple(_without_port(origin.rstrip("/").lower()) for origin in names(value))
    for origin in origins:
        if "*" in origin:
            raise ValueError("`*` would let every web page spend your quota; name the origins")
        scheme, _, place = origin.partition("://")
        if not scheme or not place or any(char in place for char in "/?#@ \\"):
            raise ValueError(f"an origin such as http://localhost:3000 is expected, not {origin!r}")
    return origins


def _without_port(origin: str) -> str:
    """Browsers leave out the port that everybody expects."""
    if origin.startswith("http://"):
        return origin.removesuffix(":80")
    return origin.removesuffix(":443") if origin.startswith("https://") else origin


def aliases(value: object) -> Mapping[str, Alias]:
    """A table of names to models, or in the environment a text such as ``fast=gpt-5-mini,x=y``."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        value = {name.strip(): model.strip() for name, _, model in pairs}
    if not isinstance(value, Mapping):
        raise ValueError("a table of names and models is expected")
    return MappingProxyType({str(name): _alias(name, given) for name, given in value.items()})


def _alias(name: str, given: object) -> Alias:
    if isinstance(given, Alias):
        return given
    table = {"model": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping) or not isinstance(table.get("model"), str):
        raise ValueError(f"{name!r} needs a model")
    if not name or not table["model"]:
        raise ValueError("a name or a model is empty")
    parameters = {key: one for key, one in table.items() if key != "model"}
    for key in parameters:
        if key not in ALIAS_PARAMETERS:
            raise ValueError(f"{name!r} has {key!r}; there are {', '.join(ALIAS_PARAMETERS)}")
    return Alias(table["model"], MappingProxyType(parameters))


def api_keys(value: object) -> tuple[ApiKey, ...]:
    """A table of names to keys, or in the environment a text such as ``laptop=KEY1,ci=KEY2``.

    What is wrong is said without showing a key, nor what may be one that stands in a wrong place.
    """
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("NAME=KEY is expected, with commas between several")
        if len({name.strip() for name, _, _ in pairs}) < len(pairs):
            raise ValueError("a name stands there twice")
        value = {name.strip(): key.strip() for name, _, key in pairs}
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a table of names and keys is expected")
    if not value:
        raise ValueError("it is empty; leave it out if no key is to be asked for")
    keys = tuple(_api_key(name, given) for name, given in value.items())
    check_distinct(keys)
    return keys


def check_distinct(keys: tuple[ApiKey, ...]) -> None:
    """Raises `ValueError` if two have the same key: nobody could tell whose it is."""
    seen: dict[Secret, str | None] = {}
    for one in keys:
        if one.key in seen:
            other = seen[one.key]
            raise ValueError(f"{one.name!r} has the key of {repr(other) if other else 'api_key'}")
        seen[one.key] = one.name


def _api_key(name: str, given: object) -> ApiKey:
    if not _KEY_NAME.fullmatch(name):
        raise ValueError("a name has 1 to 24 letters, digits, dots, dashes and underscores")
    table = {"key": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping) or not isinstance(table.get("key"), str):
        raise ValueError(f"{name!r} needs a key")
    for field in table:
        if field not in ("key", "models"):
            raise ValueError(f"{name!r} has more than key and models")
    key = secret(table["key"])
    if key is None or len(key.reveal()) < SHORTEST:
        raise ValueError(f"the key of {name!r} has fewer than {SHORTEST} characters")
    if any(char.isspace() for char in key.reveal()):
        raise ValueError(f"the key of {name!r} holds a space")
    models = names(table.get("models", ()))
    if "models" in table and not models:
        raise ValueError(f"the models of {name!r} are an empty list, which would allow none")
    return ApiKey(key, name, models)


def choice(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = plain_text(value)
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is expected")
        return text

    return parse


def is_host(name: str) -> bool:
    """Whether `name` is an IP address, or a name that can be looked up: none of its parts is empty
    or too long, and all of it is ASCII. Libraries fail on anything else in ways of their own."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(name) <= _LONGEST_HOST and _HOST.fullmatch(name) is not None
    return "%" not in name


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach `host` (a name or an address)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
