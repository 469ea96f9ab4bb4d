"""Faults of the network, the sign-in, the account and the clients."""

import socket
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from time import time

import httpx
import keyring

from copilot_proxy.doctor import account, account_facts
from copilot_proxy.simulator.plans import PLANS
from tests.auth.keyrings import BrokenKeyring, PromptingKeyring
from tests.conftest import NO_TLS
from tests.doctor.faults import fault
from tests.doctor.machine import Machine
from tests.http_server import HttpServer
from tests.ports import free_port


@fault("proxy", "broken", "Correct HTTPS_PROXY")
def proxy_that_does_not_answer(machine: Machine) -> None:
    machine.export(HTTPS_PROXY=f"http://mona:secret-word@127.0.0.1:{free_port()}")


@fault("proxy", "broken", "Set ALL_PROXY to a URL such as")
def socks_proxy(machine: Machine) -> None:
    machine.export(ALL_PROXY="socks5://127.0.0.1:1080", NO_PROXY="127.0.0.1")


@fault("loopback", "warning", "Add this to NO_PROXY: 127.0.0.1,localhost,::1")
def no_proxy_without_loopback(machine: Machine) -> None:
    listener = machine.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    machine.export(HTTP_PROXY=f"http://127.0.0.1:{listener.getsockname()[1]}", NO_PROXY="corp")


@fault("certificates", "broken", "Unset it to use the system's certificates")
def missing_certificate_file(machine: Machine) -> None:
    machine.export(SSL_CERT_FILE=str(machine.user / "ca.pem"))


@fault("certificates", "broken", "Unset it to use the system's certificates")
def empty_certificate_file(machine: Machine) -> None:
    machine.export(SSL_CERT_FILE=str(machine.file("ca.pem", "")))


@fault("certificates", "broken", "Unset it to use the system's certificates")
def certificate_file_without_certificates(machine: Machine) -> None:
    machine.export(SSL_CERT_FILE=str(machine.file("ca.pem", "hello\n")))


@fault("certificates", "broken", "Unset it to use the system's certificates")
def missing_certificate_folder(machine: Machine) -> None:
    machine.export(SSL_CERT_DIR=str(machine.user / "certs"))


@fault("github", "broken", "Check the address, and HTTPS_PROXY")
def github_refuses_connections(machine: Machine) -> None:
    machine.set(github_api_url=f"http://127.0.0.1:{free_port()}")


@fault("github", "broken", "Check the network connection")
def github_cannot_be_resolved(machine: Machine) -> None:
    machine.set(github_api_url="https://github.invalid")


@fault("github", "warning", "Try again")
def github_has_trouble(machine: Machine) -> None:
    machine.simulator.state.faults.on("exchange_500")


class LateGitHub(HttpServer):
    """Forwards requests to GitHub, but has a clock an hour behind this machine's."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self._upstream = upstream

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with httpx.Client(trust_env=False, verify=NO_TLS, timeout=60) as client:
            found = client.get(self._upstream + handler.path, headers=_passed_on(handler))
        handler.send_response_only(found.status_code)
        handler.send_header("date", formatdate(time() - 3600, usegmt=True))
        handler.send_header("content-type", found.headers["content-type"])
        handler.end_headers()
        handler.wfile.write(found.content)


def _passed_on(handler: BaseHTTPRequestHandler) -> dict[str, str]:
    own = ("host", "connection", "accept-encoding")
    return {name: value for name, value in handler.headers.items() if name.lower() not in own}


@fault("clock", "warning", "Set the clock")
def clock_an_hour_ahead(machine: Machine) -> None:
    github = machine.stack.enter_context(LateGitHub(machine.simulator.url))
    machine.set(github_api_url=github.url)
    machine.expected.append("60 minutes ahead")


@fault("sign-in", "broken", "copilot-proxy login")
def not_signed_in(machine: Machine) -> None:
    machine.sign_out()


@fault("sign-in", "broken", "copilot-proxy login")
def revoked_token(machine: Machine) -> None:
    machine.simulator.state.revoke()
    machine.expected.append("credentials.json")


@fault("sign-in", "broken", "copilot-proxy login")
def personal_access_token(machine: Machine) -> None:
    machine.set(github_token="ghp_0123456789abcdefghij0123456789abcdef")


@fault("sign-in", "broken", "copilot-proxy login")
def token_file_with_something_else(machine: Machine) -> None:
    machine.home.joinpath("credentials.json").write_text("{}")


@fault("keyring", "broken", "login --store file")
def broken_keyring(machine: Machine) -> None:
    machine.sign_out()
    keyring.set_keyring(BrokenKeyring(RuntimeError("no D-Bus")))


@fault("keyring", "broken", "Unlock the keyring")
def keyring_that_hangs(machine: Machine) -> None:
    machine.sign_out()
    backend = PromptingKeyring()
    keyring.set_keyring(backend)
    machine.stack.callback(backend.released.set)
    machine.patch.setattr(account, "KEYRING_SECONDS", 0.1)
    machine.patch.setattr(account_facts, "KEYRING_SECONDS", 0.1)


@fault("copilot", "broken", "github.com")
def account_without_copilot(machine: Machine) -> None:
    machine.simulator.state.plan = "none"


@fault("quota", "broken", "Allow further use at")
def quota_used_up(machine: Machine) -> None:
    machine.simulator.state.plan = "pool_exhausted"


@fault("quota", "warning", "copilot-proxy budget set")
def quota_used_up_and_billed(machine: Machine) -> None:
    machine.simulator.state.plan = "pro_overage"


@fault("quota", "warning", "copilot-proxy usage client")
def little_quota_left(machine: Machine) -> None:
    machine.simulator.state.spent = PLANS["pro_credits"].entitlement - PLANS["pro_credits"].used - 3


@fault("models", "warning", "Did you mean claude-sonnet")
def default_model_that_does_not_exist(machine: Machine) -> None:
    machine.set(default_model="claude-sonet-5.5")


@fault("models", "warning", "Use its successor")
def alias_for_a_model_that_retires(machine: Machine) -> None:
    machine.config('[aliases]\nclever = "claude-opus-5"\n')
    machine.expected.append("2026-12-14")


@fault("models", "warning", "Enable it at")
def small_model_that_is_not_enabled(machine: Machine) -> None:
    model = machine.simulator.state.model("gpt-6-luna")
    assert model is not None
    model["policy"] = {"state": "disabled", "terms": "..."}
    machine.set(small_model="gpt-6-luna")


@fault("models", "warning", "the name of a family, such as sonnet")
def default_model_of_an_older_client(machine: Machine) -> None:
    machine.set(default_model="gpt-4o-mini")


@fault("variables", "warning", "Unset OPENAI_BASE_URL")
def base_url_of_another_host(machine: Machine) -> None:
    machine.export(OPENAI_BASE_URL="https://mona:secret-word@llm.example/v1?key=secret-word")


@fault("variables", "warning", "copilot-proxy serve")
def base_url_without_a_server(machine: Machine) -> None:
    machine.export(OPENAI_BASE_URL=f"http://localhost:{machine.port}/v1")


@fault("client-claude-code", "warning", "Unset ANTHROPIC_API_KEY")
def anthropic_key_beside_claude_code(machine: Machine) -> None:
    machine.client("claude", "2.1.330")
    machine.export(ANTHROPIC_API_KEY="sk-ant-secret-word")


@fault("client-claude-code", "warning", "Unset CLAUDE_CODE_USE_BEDROCK")
def claude_code_uses_another_provider(machine: Machine) -> None:
    machine.client("claude", "2.1.330")
    machine.export(CLAUDE_CODE_USE_BEDROCK="1")


@fault("client-claude-code", "warning", "copilot-proxy run claude")
def claude_code_points_elsewhere(machine: Machine) -> None:
    machine.client("claude", "2.1.330")
    url = "https://gateway.example/secret-word"
    machine.file(".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": url}})


@fault("client-codex", "warning", "npm install -g @openai/codex")
def client_too_old(machine: Machine) -> None:
    machine.client("codex", "0.100.0")


@fault("client-opencode", "warning", "copilot-proxy models")
def client_with_a_model_that_is_gone(machine: Machine) -> None:
    machine.client("opencode", "1.18.33")
    provider = {"options": {"baseURL": f"http://127.0.0.1:{machine.port}/v1"}}
    machine.file(
        ".config/opencode/opencode.json",
        {"model": "copilot-proxy/wizard-7", "provider": {"copilot-proxy": provider}},
    )


@fault("client-qwen-code", "warning", "copilot-proxy models")
def client_with_the_name_of_a_model_that_is_gone(machine: Machine) -> None:
    machine.client("qwen", "0.24.4")
    url = f"http://127.0.0.1:{machine.port}/v1"
    machine.file(
        ".qwen/settings.json",
        {"model": {"name": "wizard-7"}, "modelProviders": {"openai": [{"baseUrl": url}]}},
    )
