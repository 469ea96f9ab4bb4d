"""The checks that the Copilot API makes before reading a request."""

import pytest

from copilot_proxy.simulator.gateway import API_VERSIONS, EDITORS
from copilot_proxy.simulator.refusal import TERMS, TOO_OLD
from copilot_proxy.simulator.state import FOREIGN_TOKEN
from tests.selection import every_value

BAD = "bad request: Authorization header is badly formatted\n"
PLAIN = "text/plain; charset=utf-8"


@every_value
@pytest.mark.parametrize("path", ["/models", "/chat/completions"])
@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        (None, 400, BAD),
        ("Bearer", 400, BAD),
        ("token tid=1:2", 400, BAD),
        ("Bearer ghu_unexchanged", 400, BAD),
        ("Bearer sk-123", 400, BAD),
        ("Bearer ghp_1", 400, None),
        ("Bearer github_pat_1", 400, None),
        ("Bearer gho_unknown", 401, None),
        (
            "Bearer tid=1;exp=2:3",
            401,
            "unauthorized: unauthorized: AuthenticateToken authentication failed\n",
        ),
    ],
)
def test_only_exchanged_tokens_are_accepted(copilot, path, value, status, text):
    """Any other token is refused in plain text, with the real service's message."""
    method = "GET" if path == "/models" else "POST"
    headers = copilot.merged({"authorization": value})
    answer = copilot.http.request(method, path, headers=headers)
    assert (status, PLAIN) == (answer.status_code, answer.headers["content-type"])
    assert text in (None, answer.text)
    assert answer.text.endswith("\n")


@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        (None, 400, "bad request: missing Editor-Version header for IDE auth\n"),
        ("copilot-proxy/0.1.0", 400, "bad request: unknown Editor-Version header for IDE auth\n"),
        ("vscode", 400, "bad request: unknown Editor-Version header for IDE auth\n"),
        ("vscode/1.99.3", 466, TOO_OLD),
    ],
)
def test_the_editor_version_is_checked(copilot, value, status, text):
    """Editor-Version must be present, known and recent."""
    headers = copilot.merged({"editor-version": value})
    answer = copilot.http.get("/models", headers=headers)
    assert (status, text) == (answer.status_code, answer.text)


@pytest.mark.parametrize("editor", sorted(EDITORS))
def test_known_editors_are_served(copilot, editor):
    """Editors other than VS Code have their own version numbers."""
    version = "1.137.0" if editor == "vscode" else "0.11.4"
    headers = copilot.merged({"editor-version": f"{editor}/{version}"})
    assert 200 == copilot.http.get("/models", headers=headers).status_code


def test_the_minimum_editor_version_is_a_setting(simulator, copilot):
    """The minimum editor version is a setting."""
    simulator.state.minimum_editor = (1, 138)
    assert 466 == copilot.chat().status_code


@pytest.mark.parametrize("version", ["2024-12-15", "2027-01-01", "latest"])
def test_unknown_api_versions_are_466(copilot, version):
    """A retired or unknown API version is refused in plain text."""
    headers = copilot.merged({"x-github-api-version": version})
    answer = copilot.http.get("/models", headers=headers)
    assert (466, TOO_OLD) == (answer.status_code, answer.text)


@pytest.mark.parametrize("version", sorted(API_VERSIONS))
def test_known_api_versions_are_served(copilot, version):
    """All versions that clients send today are accepted."""
    headers = copilot.merged({"x-github-api-version": version})
    assert 200 == copilot.http.get("/models", headers=headers).status_code


def test_the_minimum_api_version_is_a_setting(simulator, copilot):
    """The minimum API version is a setting."""
    simulator.state.minimum_api_version = "2026-08-02"
    assert 466 == copilot.get("/models").status_code


@pytest.mark.parametrize("value", [None, "copilot-proxy"])
def test_the_integration_is_checked(copilot, value):
    """An exchanged token is valid for one integration only."""
    headers = copilot.merged({"copilot-integration-id": value})
    answer = copilot.http.get("/models", headers=headers)
    assert (403, TERMS) == (answer.status_code, answer.text)


def test_an_oauth_token_of_another_app_works_directly(copilot):
    """Another OAuth app's token requires neither editor nor integration."""
    headers = {"authorization": f"Bearer {FOREIGN_TOKEN}"}
    assert 200 == copilot.http.get("/models", headers=headers).status_code
    copilot.simulator.state.revoke()
    assert 401 == copilot.http.get("/models", headers=headers).status_code


def test_every_answer_has_ids_and_security_headers(copilot):
    """The request's id is returned, along with GitHub's own ids."""
    answer = copilot.post("/chat/completions", {}, x_request_id="mine")
    assert (400, "mine") == (answer.status_code, answer.headers["x-request-id"])
    assert answer.headers["x-github-request-id"].count(":") == 4
    for name in (
        "x-copilot-service-request-id",
        "x-github-backend",
        "content-security-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-copilot-api-exp-assignment-context",
    ):
        assert name in answer.headers
    assert "x-request-id" in copilot.get("/models").headers


def test_errors_are_labeled_as_plain_text(copilot):
    """A JSON error is labeled as text, as on the real API."""
    answer = copilot.chat(model="nothing")
    assert (PLAIN, "model_not_supported") == (
        answer.headers["content-type"],
        answer.json()["error"]["code"],
    )


def test_large_bodies_are_413_in_plain_text(simulator, copilot):
    """The limit is in bytes, and is a setting."""
    simulator.state.body_limit = 1000
    answer = copilot.chat("x" * 1000)
    assert (413, "413 Request Entity Too Large\n") == (answer.status_code, answer.text)
