"""Checks the network: proxies, loopback, certificates, GitHub's reachability, and the clock."""

import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from copilot_proxy.auth import hosts
from copilot_proxy.doctor.check_context import CheckContext, SettingsInvalid
from copilot_proxy.doctor.results import Result, broken, from_error, off, ok, skipped, warning
from copilot_proxy.errors import (
    CopilotProxyError,
    UpstreamError,
    UpstreamRefusal,
    UsageError,
)
from copilot_proxy.network import proxies
from copilot_proxy.network.certificates import count_authorities
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.settings import Settings

_CONNECT_SECONDS: Final = 4.0
_CLOCK_SECONDS: Final = 120
"""Seconds by which the clock may be wrong without a warning."""
_NO_PROXY: Final = "127.0.0.1,localhost,::1"


def check_proxy(context: CheckContext) -> Iterator[Result]:
    """Check whether the proxy for GitHub is usable and responds."""
    found: dict[str, str] = {}
    for url in _urls(context.settings):
        try:
            proxy = proxies.proxy_in_use(url)
        except UsageError as error:
            yield from_error(error)
            return
        if proxy is None or proxy.shown in found:
            continue
        found[proxy.shown] = proxy.setting
        reason = _connection_problem(proxy.host, proxy.port)
        if reason is not None:
            subject = proxy.setting.replace("the ", "The ", 1)
            yield broken(
                f"{subject} is set to {proxy.shown}, but no proxy responds there: {reason}.",
                f"Correct {proxy.setting}, or unset it if there is no proxy.",
            )
            return
    if found:
        yield ok(", ".join(f"{shown} ({name})" for shown, name in found.items()))
    else:
        yield off("none")


def has_proxy_problem(context: CheckContext) -> bool:
    """Return whether the proxy or the certificates explain why GitHub cannot be reached."""
    results = (*check_proxy(context), *check_certificates(context))
    return any(result.status == "broken" for result in results)


def _connection_problem(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except socket.gaierror:
        return "the name could not be resolved"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return None


def _urls(settings: Settings) -> list[str]:
    """Return the URLs that the program contacts, as far as they are known in advance."""
    host = hosts.host_of(settings)
    addresses = hosts.addresses(host, settings)
    return [addresses.web, addresses.api, addresses.copilot]


def check_loopback(context: CheckContext) -> Iterator[Result]:
    """Check whether clients would try to reach the server through a proxy."""
    settings = context.settings
    if settings.uds is not None:
        yield ok("a Unix socket, which needs no proxy")
        return
    variable = proxies.local_proxy_variable(base_url(settings.host, settings.port))
    if variable is None:
        yield ok("clients reach the server without a proxy")
        return
    yield warning(
        f"{variable} is set, and NO_PROXY does not list this machine: many clients would send "
        "requests for this server to that proxy.",
        f"Add this to NO_PROXY: {_NO_PROXY}",
    )


def check_certificates(context: CheckContext) -> Iterator[Result]:
    """Check whether there are certificate authorities."""
    try:
        count = count_authorities()
    except UsageError as error:
        yield from_error(error)
        return
    if count == 0:
        yield broken(
            "This system has no certificate authorities, so no host can be trusted.",
            "Install the package ca-certificates, or set SSL_CERT_FILE to a file of certificates.",
        )
    else:
        yield ok("the system's" if count is None else f"{count} authorities")


def check_github(context: CheckContext) -> Iterator[Result]:
    """Check whether GitHub and Copilot respond."""
    try:
        facts = context.account()
    except SettingsInvalid as error:
        yield skipped(error.message)
        return
    except UsageError:
        yield skipped("Not checked, because of the proxy or the certificates.")
        return
    for problem in facts.errors:
        if not isinstance(problem, UpstreamError):
            continue
        if isinstance(problem, UpstreamRefusal):
            yield warning(problem.message, problem.hint or "Wait, then run this command again.")
        elif has_proxy_problem(context):
            yield skipped("Not reached, because of the proxy or the certificates.")
        else:
            yield from_error(problem)
        return
    hosts_asked = {urlsplit(url).netloc for url in _urls(context.settings)[1:2]}
    yield ok(f"reached {', '.join(hosts_asked)}")


def check_clock(context: CheckContext) -> Iterator[Result]:
    """Check the clock against GitHub's responses."""
    try:
        offsets = context.account().clock_offsets
    except CopilotProxyError:
        offsets = []
    if not offsets:
        yield skipped("GitHub's time is unknown.")
        return
    offset = offsets[0]  # from GitHub itself; other hosts may be behind a cache
    if abs(offset) <= _CLOCK_SECONDS:
        yield ok("correct")
        return
    direction = "ahead of" if offset > 0 else "behind"
    yield warning(
        f"This machine's clock is {_span(abs(offset))} {direction} GitHub's, so budgets reset and "
        "usage is counted at the wrong time.",
        "Set the clock, for example with: timedatectl set-ntp true",
    )


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{round(minutes / 60)} hours"
