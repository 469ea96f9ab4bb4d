"""Readable messages for failures of Node and pi-ai."""

import pytest

from copilot_proxy.errors import BrokenResponse, UpstreamUnreachable
from copilot_proxy.upstreams.pi_ai.failures import request_error, response_error

URL = "https://api.githubcopilot.com"


@pytest.mark.parametrize(
    ("code", "status", "sent", "words"),
    [
        ("ECONNREFUSED", 502, False, "api.githubcopilot.com refused the connection"),
        ("ENOTFOUND", 502, False, "could not be resolved"),
        ("UND_ERR_CONNECT_TIMEOUT", 504, False, "took too long"),
        ("UND_ERR_HEADERS_TIMEOUT", 504, True, "did not answer in time"),
        ("SELF_SIGNED_CERT_IN_CHAIN", 502, False, "is not trusted"),
        ("UND_ERR_ABORTED", 502, False, "The proxy refused to connect"),
        ("UND_ERR_SOCKET", 502, True, "was lost before the answer"),
        ("", 502, True, "was lost before the answer"),
    ],
)
def test_error_codes_of_node(code: str, status: int, sent: bool, words: str) -> None:
    """Each code has a message and a hint, and says whether the request may have been sent."""
    error = request_error({"code": code, "text": "tid=secretsecret"}, URL)

    assert isinstance(error, UpstreamUnreachable)
    assert (status, sent) == (error.status, error.sent)
    assert words in error.message
    assert error.hint
    assert "secret" not in error.message


def test_failures_before_the_call_to_copilot() -> None:
    """pi-ai's message is shown without secrets."""
    error = request_error({"code": "PI_AI", "text": "No tool for Bearer tid=secretsecret"}, URL)

    assert isinstance(error, BrokenResponse)
    assert "No tool for Bearer ***" in error.message
    assert "no reason given" in request_error({"code": "PI_AI"}, URL).message


def test_redirects_are_not_followed() -> None:
    """Redirects are not followed."""
    assert isinstance(response_error({"status": 302, "headers": {}, "body": ""}), BrokenResponse)
