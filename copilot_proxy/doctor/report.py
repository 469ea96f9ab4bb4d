"""A report to paste into an issue: versions, settings and findings, with nothing private."""

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any, Final
from urllib.parse import urlsplit

from copilot_proxy import __version__
from copilot_proxy.auth.account import Account
from copilot_proxy.auth.credential import Credential
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.runner import Finding
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.drift import unknown_in_models
from copilot_proxy.host_names import is_loopback
from copilot_proxy.settings import setting_names

_LIBRARIES: Final = ("httpx", "litestar", "uvicorn", "keyring", "msgspec", "typer")
_PUBLIC: Final = frozenset(
    {
        "port",
        "workers",
        "upstream",
        "default_model",
        "small_model",
        "editor_version",
        "editor_plugin_version",
        "integration_id",
        "api_version",
        "log_format",
    }
)
"""Settings, besides numbers and switches, whose values reveal nothing about the user."""
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_MAX_UNKNOWN: Final = 20
_PUBLIC_HOSTS: Final = ("github.com", "api.github.com", "api.githubcopilot.com", "nodejs.org")
_URL: Final = re.compile(r"https?://[^\s,;]+")
_PATH: Final = re.compile(r"(?<![\w~:/.])/[^\s,;:]+")
"""Matches a path outside the home folder."""


def report(context: CheckContext, findings: Iterable[Finding]) -> str:
    """Return the report as Markdown."""
    lines = [
        *_versions(),
        *_settings(context),
        *_environment(context),
        *_account(context),
        "",
        *(_line(one) for one in findings),
    ]
    private = list(_private_names(context))
    return "\n".join(("```text", *(_without(line, private) for line in lines), "```"))


def _versions() -> Iterator[str]:
    libraries = []
    for name in _LIBRARIES:
        try:
            libraries.append(f"{name} {version_of(name)}")
        except PackageNotFoundError:
            libraries.append(f"{name} unknown")
    yield f"g-copilot-proxy {__version__}, Python {platform.python_version()}"
    yield f"{platform.system()} {platform.release()} {platform.machine()}, {_installation()}"
    yield ", ".join(libraries)


def _installation() -> str:
    prefix = sys.prefix.replace("\\", "/")
    for name in ("pipx", "uv/tools"):
        if f"/{name}/" in prefix:
            return f"installed with {name.partition('/')[0]}"
    return "virtual environment" if sys.prefix != sys.base_prefix else "system Python"


def _settings(context: CheckContext) -> Iterator[str]:
    settings = context.settings
    for name in setting_names():
        source = settings.sources.get(name, "default")
        if source == "default":
            continue
        where = source.replace(str(settings.config_file), "config.toml")
        yield f"{name} = {_value(name, getattr(settings, name))} ({where})"


def _value(name: str, value: Any) -> str:
    if name in _PUBLIC or isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, tuple | dict):
        return f"({len(value)} {'entry' if len(value) == 1 else 'entries'})"
    return "(set)"


def _environment(context: CheckContext) -> Iterator[str]:
    environ = context.environ
    names = [name for name in _PROXIES if environ.get(name) or environ.get(name.lower())]
    names += [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)]
    if names:
        yield f"set in the environment: {', '.join(names)}"


def _account(context: CheckContext) -> Iterator[str]:
    try:
        facts = context.account()
    except CopilotProxyError:
        return
    if isinstance(facts.account, Account):
        yield f"plan: {facts.account.plan} ({facts.account.sku})"
    for error in facts.errors:
        yield f"error {error.code or type(error).__name__}"
    catalogue = context.catalogue()
    if catalogue is not None:
        yield f"{len(catalogue.chat)} chat models"
        unknown = sorted({f"{one.kind} {one.name}" for one in unknown_in_models(catalogue)})
        yield from unknown[:_MAX_UNKNOWN]


def _private_names(context: CheckContext) -> Iterator[str]:
    """Yield private names, such as those of hosts and keys."""
    settings = context.settings
    urls = [settings.github_url, settings.github_api_url, settings.copilot_api_url or ""]
    urls += [
        context.environ.get(name, "") for name in (*_PROXIES[:3], *map(str.lower, _PROXIES[:3]))
    ]
    for host in (settings.host, *settings.allowed_hosts, *(urlsplit(url).hostname for url in urls)):
        if host and not is_loopback(host) and host not in _PUBLIC_HOSTS:
            yield host
    yield from settings.aliases
    yield from filter(None, (settings.profile, *settings.known_profiles))
    yield from (one.name for one in settings.keys if one.name)
    with suppress(CopilotProxyError):
        credential = context.account().credential
        if isinstance(credential, Credential):
            yield from filter(None, (credential.login, credential.host))


def _without(line: str, names: Iterable[str]) -> str:
    """Return the line without the user's own names, addresses and paths."""
    for name in sorted(names, key=len, reverse=True):
        if name not in _PUBLIC_HOSTS:
            line = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "***", line)
    line = _URL.sub(lambda found: found[0] if _is_public(found[0]) else "(URL)", line)
    return _PATH.sub("(path)", line)


def _is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in _PUBLIC_HOSTS or is_loopback(host)


def _line(finding: Finding) -> str:
    found = finding.result
    what = found.what if found.public is None else found.public
    return f"{found.status:<8} {finding.check.name:<16} {what}".rstrip()
