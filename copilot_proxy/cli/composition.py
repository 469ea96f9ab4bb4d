"""Puts the parts together, for the commands that talk to Copilot: this is where they are made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copilot_proxy.relay import Record
    from copilot_proxy.routes.services import Services
    from copilot_proxy.simulator import Simulator


@contextmanager
def settings_for(
    flags: "Mapping[str, object]", *, simulate: bool
) -> "Iterator[tuple[Settings, Simulator | None]]":
    """The settings, and with `simulate` a running simulator that they lead to.

    The simulator takes the place of GitHub's addresses and nothing else: signing in, the token
    exchange and every request go the way they would go to GitHub.
    """
    if not simulate:
        yield load_settings(flags), None
        return
    from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator

    with Simulator() as simulator:
        simulated = {
            "github_token": SIMULATED_TOKEN,
            "github_url": simulator.url,
            "github_api_url": simulator.url,
        }
        yield replace(load_settings({**flags, **simulated}), copilot_api_url=None), simulator


def make_services(
    settings: Settings, *, report: "Callable[[Record], None]", simulated: bool = False
) -> "Services":
    """Everything between a request and Copilot. To be called where an event loop runs."""
    from copilot_proxy.auth.caller_tokens import CallerTokens
    from copilot_proxy.auth.copilot_auth import CopilotAuth
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.network import make_client
    from copilot_proxy.auth.stores import Credentials
    from copilot_proxy.relay import Relay
    from copilot_proxy.routes.services import Services
    from copilot_proxy.upstreams.copilot import CopilotUpstream

    client = make_client(settings)
    github = GitHub(client, settings)
    auth = CopilotAuth(github, Credentials.from_settings(settings).load_async, settings)
    upstream = CopilotUpstream(client, auth, settings.identity)
    return Services(
        settings=settings,
        upstream=upstream,
        relay=Relay(upstream, default_model=settings.default_model, report=report),
        callers=CallerTokens(github, settings),
        simulated=simulated,
    )
