"""Permanent errors contain nothing that makes an agent retry."""

import re

import msgspec
import pytest

from copilot_proxy.errors import CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats.apis import client_apis
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.permanent_errors import permanent_text
from copilot_proxy.formats.upstream_errors import parse_error_response, repeat_refusal
from copilot_proxy.relay.records import new_request_id

RETRIED = re.compile(
    "429|500|502|503|504|524|rate.?limit|timeout|timed out|overloaded|exhausted|unavailable|"
    "server error|connection error",
    re.IGNORECASE,
)
"""Patterns in errors that make opencode 1.18 and pi 1.6 retry."""


@pytest.mark.parametrize("api", client_apis(), ids=lambda api: api.name)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_permanent_errors_are_reworded(api: ClientApi, status: int) -> None:
    """Numbers and words that would trigger a retry are replaced everywhere in the error."""
    error = CopilotProxyError(
        "Quota exhausted: 1500 of 1500 used, Server error 429, 150293 tokens.",
        hint="The rate limit is 503 a minute.",
        status=status,
        type="invalid_request_error",
        param="messages[500].content",
        extra={"upstream": {"status": status, "request_id": "9AB7:5024", "code": "quota"}},
    )
    text = msgspec.json.encode(api.error_body(error, new_request_id())).decode()

    assert RETRIED.search(text) is None
    assert "Quota used up: 15 00 of 15 00 used" in text
    assert "150 293 tokens" in text
    assert "Quota exhausted" in error.message  # for the log


@pytest.mark.parametrize("api", client_apis(), ids=lambda api: api.name)
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_temporary_errors_are_not_changed(api: ClientApi, status: int) -> None:
    """Clients may retry after temporary errors, so their text is unchanged."""
    error = CopilotProxyError("The rate limit is 500.", status=status)
    assert "The rate limit is 500." in str(api.error_body(error, "id"))


def test_the_port_of_an_address_is_kept() -> None:
    """The address of this server still works when copied from a hint."""
    assert "Use http://[::1]:42900/v1, not 4 29." == permanent_text(
        "Use http://[::1]:42900/v1, not 429."
    )


@pytest.mark.parametrize("api", client_apis(), ids=lambda api: api.name)
@pytest.mark.parametrize("wait", [429, 500, 5024, 52400])
def test_a_used_up_quota(api: ClientApi, wait: int) -> None:
    """A refusal for a used-up quota stays permanent when repeated, however long the wait is."""
    body = b'{"error": {"message": "You have exhausted your quota", "code": "quota_exceeded"}}'
    refusal = parse_error_response(402, {"retry-after": str(wait)}, body)
    for error in (refusal, repeat_refusal(refusal, wait)):
        assert isinstance(error, UpstreamRefusal)
        assert api.error_status(error) in (400, 402)
        assert RETRIED.search(str(api.error_body(error, new_request_id()))) is None


def test_request_ids() -> None:
    """Request ids never contain numbers that trigger a retry, as 1 in 20 random ids would."""
    assert not any(RETRIED.search(new_request_id()) for _ in range(2000))
