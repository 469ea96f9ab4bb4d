"""The hosts that a token may be sent to: github.com, a GHE.com tenant, or hosts from the settings.

Tokens give access to the user's account, so every URL in GitHub's responses is checked here before
a token is sent to it.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from copilot_proxy.errors import SignInError, UsageError
from copilot_proxy.host_names import is_host, is_loopback
from copilot_proxy.masking import mask
from copilot_proxy.settings import (
    DEFAULT_GITHUB_API_URL,
    DEFAULT_GITHUB_URL,
    Settings,
)

GITHUB: Final = "github.com"
DEFAULT_COPILOT_URL: Final = "https://api.githubcopilot.com"
"""The generic host; the token exchange usually returns a more specific one."""

_TENANTS: Final = ".ghe.com"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SERVICES: Final = ("copilot-api.", "api.")
_URL_SETTINGS: Final = ("github_url", "github_api_url", "copilot_api_url")


@dataclass(frozen=True)
class Addresses:
    """The URLs of one GitHub host, without trailing slashes."""

    web: str
    """For the device flow and web pages."""
    api: str
    """For the token exchange and the account."""
    copilot: str
    """The Copilot API, unless the token exchange returns another URL."""


def normalize(host: str) -> str:
    """Return ``github.com`` or ``TENANT.ghe.com`` for a host name or URL of either.

    Raises `UsageError` for any other host, because a token must not be sent there.
    """
    name = _host_name(host.strip())
    if name in (GITHUB, "www.github.com", "api.github.com"):
        return GITHUB
    for service in _SERVICES:
        # Only a label in front of a tenant's name is a service: in `api.ghe.com`, "api" is itself
        # the tenant.
        if name.startswith(service) and name.count(".") > _TENANTS.count("."):
            name = name.removeprefix(service)
            break
    tenant = name.removesuffix(_TENANTS)
    if tenant == name or not _LABEL.fullmatch(tenant):
        raise UsageError(
            f"{host.strip()[:100]!r} is not a GitHub host with Copilot.",
            hint="Use github.com, or your company's GHE.com host, such as acme.ghe.com.",
        )
    return name


def host_of(settings: Settings) -> str:
    """Return the host in the settings, for tokens that were stored without one."""
    try:
        return normalize(settings.github_url)
    except UsageError:
        return GITHUB


def named_host(settings: Settings) -> str | None:
    """Return the host that the user has set, or None if `github_url` is the default."""
    return host_of(settings) if _is_set(settings, "github_url") else None


def addresses(host: str, settings: Settings) -> Addresses:
    """Return the URLs for `host`, which must be normalized. The settings take precedence."""
    own = _own_addresses(host)
    return Addresses(
        web=settings.github_url if _is_set(settings, "github_url") else own.web,
        api=settings.github_api_url if _is_set(settings, "github_api_url") else own.api,
        copilot=settings.copilot_api_url or own.copilot,
    )


def overriding(host: str, settings: Settings) -> dict[str, str]:
    """Return the URL settings that take precedence over the URLs of `host`, with their values."""
    own = _own_addresses(host)
    urls = zip(_URL_SETTINGS, (own.web, own.api, own.copilot), strict=True)
    return {
        name: getattr(settings, name)
        for name, url in urls
        if _is_set(settings, name) and getattr(settings, name) != url
    }


def copilot_url(
    endpoint: object, token_fields: dict[str, str], host: str, settings: Settings
) -> str:
    """Return the URL of the Copilot API for one token.

    In order of precedence: the setting, `endpoint` (``endpoints.api`` of the token exchange), the
    token's ``proxy-ep`` field, the host's default. Raises `SignInError` if the URL's host is not
    allowed.
    """
    if settings.copilot_api_url:
        return settings.copilot_api_url
    if isinstance(endpoint, str) and endpoint.strip():
        return check_api_url(endpoint, host, settings)
    proxy = token_fields.get("proxy-ep", "").strip().rstrip("/").removeprefix("https://")
    if proxy.startswith("proxy."):
        return check_api_url(f"https://api.{proxy.removeprefix('proxy.')}", host, settings)
    return addresses(host, settings).copilot


def check_api_url(url: str, host: str, settings: Settings) -> str:
    """Return `url` without its trailing slash.

    Raises `SignInError` if a token of `host` must not be sent to it.
    """
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        allowed = _is_plain(parts) and (
            _is_github_host(parts, host) or _is_set_host(parts, settings)
        )
    except ValueError:
        allowed = False
    if not allowed:
        raise SignInError(
            f"GitHub's response names {mask(_host_name(url))[:100]!r} as the Copilot API host, but "
            "it is neither a GitHub host nor in your settings. No token was sent to it.",
            hint="A company proxy may have changed the response. If the host is correct, set "
            "COPILOT_PROXY_COPILOT_API_URL to its URL.",
            code="strange_api_host",
        )
    return parts.geturl()


def _own_addresses(host: str) -> Addresses:
    if host == GITHUB:
        return Addresses(DEFAULT_GITHUB_URL, DEFAULT_GITHUB_API_URL, DEFAULT_COPILOT_URL)
    return Addresses(f"https://{host}", f"https://api.{host}", f"https://copilot-api.{host}")


def _is_plain(parts: SplitResult) -> bool:
    extra = parts.username or parts.password or parts.query or parts.fragment
    return not extra and is_host(parts.hostname or "")


def _is_github_host(parts: SplitResult, host: str) -> bool:
    name = parts.hostname or ""
    is_public = name == "githubcopilot.com" or name.endswith(".githubcopilot.com")
    is_tenant = host != GITHUB and name == f"copilot-api.{host}"
    return parts.scheme == "https" and parts.port in (None, 443) and (is_public or is_tenant)


def _is_set_host(parts: SplitResult, settings: Settings) -> bool:
    name = parts.hostname or ""
    set_hosts = {
        urlsplit(getattr(settings, setting)).hostname
        for setting in _URL_SETTINGS
        if _is_set(settings, setting)
    }
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(name))
    return is_secure and name in set_hosts


def _is_set(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    defaults = {"github_url": DEFAULT_GITHUB_URL, "github_api_url": DEFAULT_GITHUB_API_URL}
    if value is None:
        return False
    return settings.sources.get(name, "default") != "default" or value != defaults.get(name)


def _host_name(text: str) -> str:
    """Return the lowercase host in a URL or host name, or all of `text` if there is none."""
    try:
        name = urlsplit(text if "://" in text else f"https://{text}").hostname
    except ValueError:
        name = None
    return (name or text).rstrip(".").lower()
