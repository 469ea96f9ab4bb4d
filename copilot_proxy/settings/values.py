"""Parses the values of settings from the configuration file, the environment or a flag.

Each function accepts a TOML value or a string, and returns the parsed value. It raises `ValueError`
with a message for the user, in lowercase and without a period.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from copilot_proxy.host_names import is_host, is_loopback
from copilot_proxy.masking import Secret, mask

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}

_MAX_WORKERS: Final = 64
_BEYOND_BASE: Final = "@?#"
"""Characters that a base URL must not contain: they mark credentials, a query or a fragment."""

_NOT_IN_TOKENS: Final = " \t\"'`"
_OTHER_SCHEMES: Final = ("about", "blob", "data", "file", "ftp", "ftps", "javascript", "ws", "wss")
"""Schemes that cannot belong to a web page's origin. Unknown schemes may belong to apps."""


def plain_text(value: object) -> str:
    """Parse a line of text without control characters, and strip it."""
    if not isinstance(value, str):
        raise ValueError("expected text")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("it contains a control character")
    return value.strip()


def header_text(value: object) -> str:
    """Parse non-empty ASCII text that can be sent in a header."""
    text = plain_text(value)
    if not text:
        raise ValueError("it is empty")
    if not text.isascii():
        raise ValueError("expected plain ASCII text")
    return text


def secret(value: object) -> Secret | None:
    """Parse an ASCII secret. Return None if it is empty."""
    text = plain_text(value)
    if not text.isascii():
        raise ValueError("expected plain ASCII text")
    return Secret(text) if text else None


def token(value: object) -> Secret | None:
    """Parse a token that can be sent in a header. Return None if it is empty."""
    token = secret(value)
    if token is not None and any(char in _NOT_IN_TOKENS for char in token.reveal()):
        raise ValueError("a token cannot contain spaces or quotation marks")
    return token


def key(value: object) -> Secret:
    """Parse an API key, which must not be empty: a variable that was left empty by mistake must not
    disable authentication."""
    if (api_key := secret(value)) is None:
        raise ValueError("it is empty")
    return api_key


def port(value: object) -> int:
    """Parse a port from 0 to 65535."""
    port = integer(value)
    if not 0 <= port <= 65535:
        raise ValueError(f"expected a port from 0 to 65535, not {port}")
    return port


def integer(value: object) -> int:
    """Parse a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"expected a whole number, not {_quoted(value)}") from None


def _quoted(value: object) -> str:
    """Return the value in quotes, for a message. Must not be used for values that may be secret."""
    return repr(mask(str(value)[:40]))


def positive(value: object) -> int:
    """Parse a whole number above 0."""
    number = integer(value)
    if number < 1:
        raise ValueError(f"expected a whole number greater than 0, not {number}")
    return number


def workers(value: object) -> int:
    """Parse a number of processes, up to `_MAX_WORKERS`. More would only use up memory."""
    number = integer(value)
    if not 1 <= number <= _MAX_WORKERS:
        raise ValueError(f"expected a whole number from 1 to {_MAX_WORKERS}, not {number}")
    return number


def not_negative(value: object) -> int:
    """Parse a whole number that is not negative."""
    number = integer(value)
    if number < 0:
        raise ValueError(f"expected a whole number of at least 0, not {number}")
    return number


def boolean(value: object) -> bool:
    """Parse a boolean, or one of true, 1, yes, on, false, 0, no, off."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _BOOLEANS:
        raise ValueError("expected true or false")
    return _BOOLEANS[word]


def seconds(value: object) -> float:
    """Parse a number of seconds above 0 and below a million."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number of seconds")
    try:
        seconds = float(value)
    except ValueError:
        raise ValueError("expected a number of seconds") from None
    if not 0 < seconds < 1e6:
        raise ValueError("expected a number of seconds greater than 0")
    return seconds


def hours(value: object) -> float:
    """Parse a number of hours above 0 and below a million."""
    try:
        return seconds(value)
    except ValueError:
        raise ValueError("expected a number of hours greater than 0") from None


def url(value: object) -> str | None:
    """Parse a base URL, and remove its trailing slash. Return None if it is empty.

    Only URLs of this machine may use http.
    """
    text = plain_text(value).rstrip("/")
    if not text:
        return None
    parts = _url_parts(text)
    if parts is None:
        raise ValueError("expected a URL such as https://github.com")
    if any(char in text for char in _BEYOND_BASE):
        raise ValueError("expected a URL without a username, password, query or fragment")
    name = parts.hostname or ""
    if not is_host(name):
        raise ValueError(f"{_quoted(name)} is not a valid host name")
    if parts.scheme == "http" and not is_loopback(name):
        raise ValueError("https is required for any host but this machine")
    return text


FROM_ENVIRONMENT: Final = "env"
"""The value of `otlp_endpoint` that refers to OpenTelemetry's own variables."""


def collector(value: object) -> str | None:
    """Parse the URL of a collector, or `FROM_ENVIRONMENT`. Return None if it is empty."""
    text = plain_text(value).rstrip("/")
    if not text or text == FROM_ENVIRONMENT:
        return text or None
    if _url_parts(text) is None or any(char in text for char in _BEYOND_BASE):
        raise ValueError("expected a URL such as http://localhost:4318, or env")
    return text


def _url_parts(text: str) -> SplitResult | None:
    """Return the parts of an HTTP or HTTPS URL, or None if `text` is not such a URL."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if the port is not a number
    except ValueError:
        return None
    valid = parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text
    return parts if valid else None


def required_url(value: object) -> str:
    """Parse a URL as `url` does, but reject an empty one."""
    address = url(value)
    if address is None:
        raise ValueError("it is empty")
    return address


def path(value: object) -> Path | None:
    """Parse a path, and expand ``~`` and ``~NAME``. Return None if it is empty."""
    if isinstance(value, Path):
        return value
    text = plain_text(value)
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError as error:
        raise ValueError(f"{Path(text).parts[0]}: no such user") from error


def names(value: object) -> tuple[str, ...]:
    """Parse a list of names, or a comma-separated string of names."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list")
    return tuple(text for text in map(plain_text, value) if text)


def host(value: object) -> str:
    """Parse a host name or an IP address; an IPv6 address may be in brackets."""
    text = header_text(value)
    name = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not is_host(name.partition("%")[0]):  # the zone of an IPv6 address follows the %
        raise ValueError(
            "expected an address such as 127.0.0.1, or a host name, without scheme, port or path, "
            f"not {_quoted(text)}"
        )
    return text


def hosts(value: object) -> tuple[str, ...]:
    """Parse host names, and convert them to lowercase; IPv6 addresses may be in brackets."""
    hosts = tuple(name.strip("[]").lower() for name in names(value))
    for host in hosts:
        if not is_host(host):
            raise ValueError(
                f"expected a host name such as my-machine.local, without scheme, port or `*`, "
                f"not {_quoted(host)}"
            )
    return hosts


def origins(value: object) -> tuple[str, ...]:
    """Parse web origins (RFC 6454), convert them to lowercase, and remove default ports."""
    origins = tuple(_without_default_port(origin.rstrip("/").lower()) for origin in names(value))
    for origin in origins:
        if "*" in origin:
            raise ValueError(
                "`*` would let every web page use your quota; list the origins instead"
            )
        scheme, _, host = origin.partition("://")
        if not scheme or not host or any(char in host for char in "/?#@ \\"):
            raise ValueError(f"expected an origin such as http://localhost:3000, not {origin!r}")
        is_web = scheme in ("http", "https")
        if scheme in _OTHER_SCHEMES or (is_web and _url_parts(origin) is None):
            raise ValueError(
                f"{origin!r} is not the origin of a web page; use one such as http://localhost:3000"
            )
    return origins


def _without_default_port(origin: str) -> str:
    """Return the origin without its default port, which browsers omit in the Origin header."""
    if origin.startswith("http://"):
        return origin.removesuffix(":80")
    return origin.removesuffix(":443") if origin.startswith("https://") else origin


def choice(*choices: str) -> Callable[[object], str]:
    """Return a parser that accepts one of `choices`."""

    def parse(value: object) -> str:
        text = plain_text(value)
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return parse
