"""Readable messages for failures of npm."""

import pytest

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.upstreams.pi_ai.npm import npm_environment, npm_error


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        ("ENOSPC", "disk is full", "250 MB"),
        ("SELF_SIGNED_CERT_IN_CHAIN", "does not trust the certificate", "cafile"),
        ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "does not trust the certificate", "cafile"),
        ("CERT_HAS_EXPIRED", "does not trust the certificate", "cafile"),
        ("E404", "is not in your npm registry", "config get registry"),
        ("ETARGET", "is not in your npm registry", "config get registry"),
        ("E401", "denied access", "config get registry"),
        ("ENOTFOUND", "cannot reach its registry", "HTTPS_PROXY"),
        ("ERR_SOCKET_TIMEOUT", "cannot reach its registry", "HTTPS_PROXY"),
    ],
)
def test_known_failures(code: str, words: str, hint: str) -> None:
    """Known failures have a message and a hint."""
    error = npm_error(f"npm error code {code}\nnpm error many words of its own")

    assert words in error.message
    assert "words of its own" not in error.message
    assert hint in (error.hint or "")


def test_other_failures() -> None:
    """Other failures show npm's message without its decoration and without secrets."""
    said = (
        "npm error code EODD\nnpm error An odd thing: Bearer tid=secretsecret\n"
        "npm error A complete log of this run can be found in: /home/me/.npm/_logs/x.log\n"
    )

    assert "npm failed: EODD An odd thing: Bearer " == npm_error(said).message[:38]
    assert "secretsecret" not in npm_error(said).message
    assert "_logs" not in npm_error(said).message
    assert "npm failed: no reason given" == npm_error("\n").message
    assert isinstance(npm_error("npm ERR! old words"), CopilotProxyError)
    assert "npm failed: old words" == npm_error("npm ERR! old words").message


def test_the_environment_of_npm() -> None:
    """npm gets the environment without our settings; its own certificate file takes precedence."""
    given = {"HOME": "/home/me", "COPILOT_PROXY_GITHUB_TOKEN": "ghu_x"}

    assert {"HOME": "/home/me"} == npm_environment(given, None)
    assert "/ca.pem" == npm_environment(given, "/ca.pem")["NODE_EXTRA_CA_CERTS"]
    own = {"NODE_EXTRA_CA_CERTS": "/own.pem"}
    assert own == npm_environment(own, "/ca.pem")
