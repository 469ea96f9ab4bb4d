"""Errors in OpenAI's format."""

from copilot_proxy.errors import CopilotProxyError, NotSignedIn, RequestError
from copilot_proxy.formats.chat_completions.errors import error_body
from tests.formats.openai_schemas import check_error


def test_all_four_keys_are_there() -> None:
    """The keys that OpenAI's schema requires are present even if they are null."""
    body = error_body(CopilotProxyError("No."), "id-1")

    check_error(body)
    assert {
        "error": {
            "message": "No.",
            "type": "server_error",
            "param": None,
            "code": None,
            "request_id": "id-1",
        }
    } == body


def test_hint_and_details_are_added() -> None:
    """The hint and Copilot's error are added to the four keys."""
    error = RequestError("No.", param="n", code="c", hint="Do so.", extra={"upstream": {"a": 1}})
    body = error_body(error, "id-1")

    check_error(body)
    assert ("n", "c", "Do so.", {"a": 1}) == (
        body["error"]["param"],
        body["error"]["code"],
        body["error"]["hint"],
        body["error"]["upstream"],
    )


def test_message_and_hint_are_two_sentences() -> None:
    """A period is added between the message and the hint only if the message lacks one."""
    for message, expected in (("forbidden", "forbidden. See it."), ("Why?", "Why? See it.")):
        error = CopilotProxyError(message, hint="See it.")
        assert expected == error_body(error, "id")["error"]["message"]


def test_every_request_error_has_a_hint() -> None:
    """A request error without its own hint points to the API documentation."""
    assert "/schema" in error_body(RequestError("No."), "id")["error"]["hint"]


def test_sign_in_failures_say_what_to_type() -> None:
    """If the user is not signed in, the hint names the command to sign in."""
    assert "Sign in with: copilot-proxy login" == error_body(NotSignedIn(), "id")["error"]["hint"]


def test_tokens_are_masked() -> None:
    """Tokens are masked in message and hint."""
    error = RequestError("Not ghu_16C7e42F292c", hint="Not with ghu_16C7e42F292c.")
    body = error_body(error, "id")["error"]

    assert ("Not ***. Not with ***.", "Not with ***.") == (body["message"], body["hint"])
