"""What we call ourselves to GitHub, and what every call carries."""

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
    """The sign-in and the token exchange get the editor, and the API version that is theirs."""
    sent = headers.github(IDENTITY)

    assert {
        "accept": "application/json",
        "user-agent": headers.USER_AGENT,
        "editor-version": "vscode/9.9.9",
        "editor-plugin-version": "copilot-chat/9.9",
        "x-github-api-version": headers.GITHUB_API_VERSION,
    } == sent


def test_headers_for_copilot() -> None:
    """A call carries all that Copilot refuses to do without, and nothing that it was not told."""
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
def test_the_initiator_is_told(who: headers.Initiator) -> None:
    """Who asked is told exactly as it was found out."""
    sent = headers.copilot(IDENTITY, intent="x", initiator=who)

    assert who == sent["x-initiator"]


def test_vision_is_told() -> None:
    """A request with an image says so; another does not mention it."""
    assert "true" == headers.copilot(IDENTITY, intent="x", vision=True)["copilot-vision-request"]
    assert "copilot-vision-request" not in headers.copilot(IDENTITY, intent="x")


def test_every_call_has_an_id_of_its_own() -> None:
    """A request id is made where none was given, a new one each time."""
    one, two = (headers.copilot(IDENTITY, intent="x")["x-request-id"] for _ in range(2))

    assert one != two
    assert one == str(uuid.UUID(one))


def test_our_own_name_is_no_librarys() -> None:
    """A library's default name is taken for abuse by the token exchange."""
    assert re.fullmatch(r"g-copilot-proxy/\d\S*", headers.USER_AGENT)


def test_header_names_are_lower_case() -> None:
    """Names are in the one spelling that all who look them up use."""
    sent = headers.copilot(IDENTITY, intent="x", initiator="user", vision=True)

    assert [name.lower() for name in sent] == list(sent)


def test_what_a_client_learns_of_its_quota() -> None:
    """Quota and limits pass to the client; cookies, policies and ids of GitHub's do not."""
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
