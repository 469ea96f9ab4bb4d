"""The headers of calls to GitHub and Copilot."""

import re
import uuid

import pytest

from copilot_proxy import headers
from copilot_proxy.headers import Identity

IDENTITY = Identity(
    editor_version="vscode/9.9.9",
    editor_plugin_version="copilot-chat/9.9",
    integration_id="my-integration",
    api_version="2030-01-01",
)


def test_headers_for_github() -> None:
    """The sign-in and the exchange send the editor's versions and GitHub's own API version."""
    sent = headers.github(IDENTITY)

    assert {
        "accept": "application/json",
        "user-agent": headers.USER_AGENT,
        "editor-version": "vscode/9.9.9",
        "editor-plugin-version": "copilot-chat/9.9",
        "x-github-api-version": headers.GITHUB_API_VERSION,
    } == sent


def test_headers_for_copilot() -> None:
    """A call has all headers that Copilot requires, and no others."""
    sent = headers.copilot(IDENTITY, intent="conversation-panel", request_id="id-1")

    assert {
        "accept": "application/json",
        "user-agent": headers.USER_AGENT,
        "editor-version": "vscode/9.9.9",
        "editor-plugin-version": "copilot-chat/9.9",
        "copilot-integration-id": "my-integration",
        "x-github-api-version": "2030-01-01",
        "openai-intent": "conversation-panel",
        "x-request-id": "id-1",
    } == sent


@pytest.mark.parametrize("who", ["user", "agent"])
def test_the_initiator(who: headers.Initiator) -> None:
    """X-Initiator has the initiator that the caller passes."""
    sent = headers.copilot(IDENTITY, intent="x", initiator=who)

    assert who == sent["x-initiator"]


def test_the_vision_header() -> None:
    """Only requests with an image have the vision header."""
    assert "true" == headers.copilot(IDENTITY, intent="x", vision=True)["copilot-vision-request"]
    assert "copilot-vision-request" not in headers.copilot(IDENTITY, intent="x")


def test_every_call_has_a_new_id() -> None:
    """Every call without a request id gets a new request id."""
    one, two = (headers.copilot(IDENTITY, intent="x")["x-request-id"] for _ in range(2))

    assert one != two
    assert one == str(uuid.UUID(one))


def test_the_user_agent_is_ours() -> None:
    """The user agent is ours, since the exchange refuses the default names of libraries."""
    assert re.fullmatch(r"g-copilot-proxy/\d\S*", headers.USER_AGENT)


def test_header_names_are_lower_case() -> None:
    """Header names are lower-case."""
    sent = headers.copilot(IDENTITY, intent="x", initiator="user", vision=True)

    assert [name.lower() for name in sent] == list(sent)


def test_quota_headers_reach_the_client() -> None:
    """Quota headers reach the client; GitHub's cookies, policies and ids do not."""
    kept = {
        "x-quota-snapshot-premium_interactions": "ent=300&rem=87.3",
        "x-usage-ratelimit-weekly": "rem=1",
        "x-ratelimit-exceeded": "user_weekly",
    }
    dropped = {
        "set-cookie": "a=b",
        "content-security-policy": "none",
        "x-request-id": "1",
        "x-github-request-id": "2",
        "authorization": "Bearer x",
    }

    assert kept == headers.forwarded_headers({**kept, **dropped})
