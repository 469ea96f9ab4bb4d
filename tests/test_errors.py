"""The errors for users and clients: status, type, exit code, retry."""

import pytest

from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    LoginFailed,
    NoCopilotAccess,
    NotSignedIn,
    RequestError,
    StoreError,
    UpstreamError,
    UpstreamRefusal,
    UpstreamUnreachable,
    UsageError,
    with_simulate_flag,
)


@pytest.mark.parametrize(
    ("error", "status", "type", "exit_code"),
    [
        (CopilotProxyError("x"), 500, "server_error", 1),
        (UsageError("x"), 500, "server_error", 2),
        (NotSignedIn(), 401, "authentication_error", 3),
        (NoCopilotAccess("x"), 403, "permission_error", 4),
        (LoginFailed("x"), 401, "authentication_error", 1),
        (StoreError("x"), 500, "server_error", 1),
        (RequestError("x"), 400, "invalid_request_error", 1),
        (UpstreamError("x"), 502, "server_error", 1),
        (UpstreamRefusal("x", upstream_status=500), 502, "server_error", 1),
        (UpstreamUnreachable("x", sent=False), 502, "server_error", 1),
        (BrokenResponse("x"), 502, "server_error", 1),
    ],
)
def test_status_type_and_exit_code_of_each_error(
    error: CopilotProxyError, status: int, type: str, exit_code: int
) -> None:
    """Every error class has a status, a type and an exit code."""
    assert (status, type, exit_code) == (error.status, error.type, error.exit_code)
    assert error.message == str(error)


def test_arguments_override_attributes() -> None:
    """Arguments override the class attributes for one instance."""
    error = RequestError(
        "No.",
        hint="h",
        code="c",
        param="p",
        status=404,
        type="t",
        headers={"retry-after": "1"},
        extra={"a": 1},
    )

    assert ("No.", "h", "c", "p", 404, "t", {"retry-after": "1"}, {"a": 1}) == (
        error.message,
        error.hint,
        error.code,
        error.param,
        error.status,
        error.type,
        error.headers,
        error.extra,
    )
    assert (400, "invalid_request_error") == (RequestError.status, RequestError.type)


def test_errors_are_independent() -> None:
    """Changes to one error do not affect the next."""
    RequestError("x").headers["a"] = "b"
    RequestError("x").extra["a"] = "b"

    assert ({}, {}) == (RequestError("x").headers, RequestError("x").extra)


def test_the_hint_of_not_signed_in() -> None:
    """The hint names the command to sign in, unless another hint is given."""
    assert ("Sign in with: copilot-proxy login", "not_signed_in") == (
        NotSignedIn().hint,
        NotSignedIn().code,
    )
    assert ("Do so.", "other") == (
        NotSignedIn("x", hint="Do so.", code="other").hint,
        NotSignedIn("x", code="other").code,
    )


def test_a_refusal_keeps_upstreams_status_and_code() -> None:
    """Upstream's status and code are kept separately from the client's."""
    error = UpstreamRefusal(
        "x", upstream_status=402, upstream_code="quota_exceeded", status=429, code="c"
    )

    assert (402, "quota_exceeded", 429, "c") == (
        error.upstream_status,
        error.upstream_code,
        error.status,
        error.code,
    )


@pytest.mark.parametrize(("sent", "expected"), [(True, "false"), (False, None)])
def test_a_call_that_may_have_been_billed_is_not_retried(sent: bool, expected: str | None) -> None:
    """SDKs may retry only if upstream certainly did not receive the call."""
    error = UpstreamUnreachable("x", sent=sent, status=504)

    assert (504, "upstream_unreachable") == (error.status, error.code)
    assert expected == error.headers.get("x-should-retry")


def test_a_broken_answer_is_not_retried() -> None:
    """A broken answer is not retried, since the call may be billed."""
    assert {"x-should-retry": "false"} == BrokenResponse("x").headers
    assert ("upstream_broken", "c") == (
        BrokenResponse("x").code,
        BrokenResponse("x", code="c").code,
    )


@pytest.mark.parametrize("command", ["models", "status", "chat", "usage", "budget", "budget raise"])
def test_commands_for_the_simulator(command: str) -> None:
    """With the simulator, a hint names the command that uses the simulator's own account."""
    hint = f"Run: copilot-proxy {command} x"

    assert f"Run: copilot-proxy {command} --simulate x" == with_simulate_flag(hint)
