"""The list of all checks, in the order in which they are shown."""

from collections.abc import Iterator
from typing import Final

from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.doctor import (
    account,
    accounting,
    configuration,
    files,
    models,
    network,
    program,
    server,
    service,
)
from copilot_proxy.doctor.clients import Programs, check_variables, client_check
from copilot_proxy.doctor.results import Check

CHECKS: Final = (
    Check("program", "Program", program.check_program),
    Check("settings", "Settings", configuration.check_settings),
    Check("folders", "Folders", files.check_folders),
    Check("privacy", "Private files", files.check_privacy),
    Check("proxy", "Proxy", network.check_proxy, is_network=True),
    Check("loopback", "Loopback", network.check_loopback, is_network=True),
    Check("certificates", "Certificates", network.check_certificates, is_network=True),
    Check("github", "GitHub", network.check_github, is_network=True),
    Check("clock", "Clock", network.check_clock, is_network=True),
    Check("keyring", "Keyring", account.check_keyring),
    Check("sign-in", "Sign-in", account.check_sign_in),
    Check("copilot", "Copilot", account.check_copilot),
    Check("quota", "Quota", account.check_quota),
    Check("models", "Models", models.check_models),
    Check("drift", "Unknown values", models.check_drift),
    Check("server", "Server", server.check_server),
    Check("service", "Service", service.check_service),
    Check("ollama", "Ollama", server.check_ollama),
    Check("exposure", "Exposure", configuration.check_exposure),
    Check("ledger", "Ledger", accounting.check_ledger),
    Check("budget", "Budget", accounting.check_budget),
    Check("prices", "Prices", accounting.check_prices),
    Check("log", "Log file", files.check_log_file),
    Check("dumps", "Dumps", configuration.check_dumps),
    Check("pi-ai", "pi-ai", program.check_upstream_program),
    Check("variables", "Variables", check_variables),
)
"""The checks that do not concern a particular client."""


def checks_for(
    programs: Programs, *, client: Client | None = None, network_only: bool = False
) -> Iterator[Check]:
    """Yield the checks to run. If `client` is None, all clients on this machine are checked."""
    for check in CHECKS:
        if check.is_network or not network_only:
            yield check
    if network_only:
        return
    for one in CLIENTS if client is None else (client,):
        if client is not None or programs.is_found(one):
            yield client_check(one, programs, is_wanted=client is not None)
