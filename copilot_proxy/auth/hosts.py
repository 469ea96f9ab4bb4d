"""Which hosts a GitHub token may go to: github.com, one GHE.com tenant, or what the person set.

A Copilot token or a GitHub token is worth somebody's account, so every address that GitHub's
answers bring is checked here before anything is sent to it.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from copilot_proxy.errors import SignInError, UsageError
from copilot_proxy.masking import mask
from copilot_proxy.setting_values import is_host, is_loopback
from copilot_proxy.settings import (
    DEFAULT_GITHUB_API_URL,
    DEFAULT_GITHUB_URL,
    Settings,
)

GITHUB: Final = "github.com"
DEFAULT_COPILOT_URL: Final = "https://api.githubcopilot.com"
"""The generic front door; the token exchange usually names a closer one."""

_TENANTS: Final = ".ghe.com"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SERVICES: Final = ("copilot-api.", "api.")
_URL_SETTINGS: Final = ("github_url", "github_api_url", "copilot_api_url")


@dataclass(frozen=True)
class Addresses:
    """The URLs of one GitHub host, without trailing slashes."""

    web: str
    """Device flow and pages for people."""
    api: str
    """Token exchange and account."""
    copilot: str
    """The Copilot API, where the token exchange does not name another."""


def normalize(pasted: str) -> str:
    """``github.com`` or ``TENANT.ghe.com`` from whatever a person pastes for either.

    Raises `UsageError` for any other host: a token must not go there.
    """
    name = _host_name(pasted.strip())
    if name in (GITHUB, "www.github.com", "api.github.com"):
        return GITHUB
    for service in _SERVICES:
        # `api.ghe.com` is a tenant called "api"; only a name with three labels has a service.
        if name.startswith(service) and name.count(".") > _TENANTS.count("."):
            name = name.removeprefix(service)
            break
    tenant = name.removesuffix(_TENANTS)
    if tenant == name or not _LABEL.fullmatch(tenant):
        raise UsageError(
            f"{pasted.strip()[:100]!r} is not a host that Copilot can be used with.",
            hint="Use github.com, or your company's GHE.com host such as acme.ghe.com.",
        )
    return name


def host_of(settings: Settings) -> str:
    """The host that the settings mean, for a token that comes without one."""
    try:
        return normalize(settings.github_url)
    except UsageError:
        return GITHUB


def named_host(settings: Settings) -> str | None:
    """The host that the person put into the settings, None if they left it open."""
    return host_of(settings) if _is_set(settings, "github_url") else None


def addresses(host: str, settings: Settings) -> Addresses:
    """The URLs to use for `host` (normalised); those that the person set win."""
    if host == GITHUB:
        web, api, copilot = DEFAULT_GITHUB_URL, DEFAULT_GITHUB_API_URL, DEFAULT_COPILOT_URL
    else:
        web, api, copilot = f"https://{host}", f"https://api.{host}", f"https://copilot-api.{host}"
    return Addresses(
        web=settings.github_url if _is_set(settings, "github_url") else web,
        api=settings.github_api_url if _is_set(settings, "github_api_url") else api,
        copilot=settings.copilot_api_url or copilot,
    )


def copilot_url(
    endpoint: object, token_fields: dict[str, str], host: str, settings: Settings
) -> str:
    """The Copilot API for one token.

    In this order: the setting, `endpoint` (``endpoints.api`` of the token exchange), the token's
    own ``proxy-ep`` field, the host's default. Raises `SignInError` for a strange host.
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
    """`url` without its trailing slash, if a token of `host` may be sent to it.

    Raises `SignInError` otherwise.
    """
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        allowed = _is_plain(parts) and (_is_githubs(parts, host) or _is_persons(parts, settings))
    except ValueError:
        allowed = False
    if not allowed:
        raise SignInError(
            f"GitHub's answer named {mask(_host_name(url))[:100]!r} as the Copilot API, which is "
            "neither GitHub's nor in your settings; no token was sent there.",
            hint="A company proxy may have changed the answer. If the host is right, set "
            "COPILOT_PROXY_COPILOT_API_URL to its address.",
            code="strange_api_host",
        )
    return parts.geturl()


def _is_plain(parts: SplitResult) -> bool:
    odd = parts.username or parts.password or parts.query or parts.fragment
    return not odd and is_host(parts.hostname or "")


def _is_githubs(parts: SplitResult, host: str) -> bool:
    name = parts.hostname or ""
    pinned = name == "githubcopilot.com" or name.endswith(".githubcopilot.com")
    tenants = host != GITHUB and name == f"copilot-api.{host}"
    return parts.scheme == "https" and parts.port in (None, 443) and (pinned or tenants)


def _is_persons(parts: SplitResult, settings: Settings) -> bool:
    name = parts.hostname or ""
    named = {
        urlsplit(getattr(settings, setting)).hostname
        for setting in _URL_SETTINGS
        if _is_set(settings, setting)
    }
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(name))
    return secure and name in named


def _is_set(settings: Settings, name: str) -> bool:
    value = getattr(settings, name)
    defaults = {"github_url": DEFAULT_GITHUB_URL, "github_api_url": DEFAULT_GITHUB_API_URL}
    if value is None:
        return False
    return settings.sources.get(name, "default") != "default" or value != defaults.get(name)


def _host_name(text: str) -> str:
    """The host of an address or of a bare name, lower case; the text itself if it has none."""
    try:
        name = urlsplit(text if "://" in text else f"https://{text}").hostname
    except ValueError:
        name = None
    return (name or text).rstrip(".").lower()
