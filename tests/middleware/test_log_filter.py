"""Which HTTP requests are logged."""

import pytest

from copilot_proxy.middleware.log_filter import LogFilter
from copilot_proxy.relay.records import RequestContext


def context(path: str, status: int, method: str = "GET") -> RequestContext:
    return RequestContext("id", method, path, {}, status=status)


@pytest.mark.parametrize(
    ("path", "status", "method", "logged"),
    [
        ("/v1/models", 200, "GET", True),
        ("/health", 200, "GET", False),
        ("/api/hello", 200, "GET", False),
        ("/api/hello", 403, "GET", True),
        ("/v1/messages", 400, "POST", True),
        ("/api/event_logging/batch", 204, "POST", False),
        ("/nowhere", 404, "GET", True),
    ],
)
def test_failures_and_lookups_are_logged(path: str, status: int, method: str, logged: bool) -> None:
    """Failures and users' lookups get a line, but health checks do not."""
    assert logged == LogFilter()(context(path, status, method))


def test_probes_get_one_line() -> None:
    """All probes of a starting client share a line; the probes at its next start get a new line."""
    now = 0.0
    is_logged = LogFilter(lambda: now)
    start = ["/api/v1/models", "/api/tags", "/props", "/v1/props", "/version"] * 3

    first = [is_logged(context(path, 404)) for path in start]
    now = 100.0
    second = [is_logged(context(path, 404)) for path in start]

    assert [True, *[False] * 14] == first == second


def test_lookups_of_models_get_one_line() -> None:
    """A client that looks up all models when it starts does not fill the log."""
    now = 0.0
    is_logged = LogFilter(lambda: now)
    paths = ["/v1/models", "/v1/models/default", "/v1/models/opus"]

    first = [is_logged(context(path, 200)) for path in paths]
    unknown = is_logged(context("/v1/models/gpt-99", 404))
    now = 100.0

    assert ([True, False, False], True) == (first, unknown)
    assert is_logged(context("/v1/models/sonnet", 200))


def test_missing_apis_are_logged_once() -> None:
    """A client that requests a moderation before each prompt does not fill the log."""
    is_logged = LogFilter(lambda: 0.0)
    asked = [context("/v1/moderations", 404, "POST") for _ in range(3)]
    for one in asked:
        one.error = "moderations_not_supported"

    assert [True, False, False] == [is_logged(one) for one in asked]
