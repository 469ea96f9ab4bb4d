"""The Allow header on every path, in responses to OPTIONS and to wrong methods."""

import re

import pytest

from copilot_proxy.routes.router import make_router
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

METHODS = ("HEAD", "POST", "DELETE")
PATHS = sorted(
    re.sub(r"\{.*?\}", "x", route.path_format)
    for route in make_router().routes
    if not route.path.startswith("/schema/")  # slow, and part of the framework
)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/chat/completions", "POST, OPTIONS"),
        ("/v1/responses", "POST, OPTIONS"),
        ("/v1/responses/resp_1", "GET, HEAD, DELETE, OPTIONS"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1beta/models/gemini-pro", "GET, HEAD, OPTIONS"),
        ("/v1beta/models/gemini-pro:generateContent", "POST, OPTIONS"),
    ],
)
def test_a_path_lists_what_it_accepts(proxy: Proxy, path: str, allow: str) -> None:
    """OPTIONS and a method that no path accepts get the same list."""
    with proxy.client() as client:
        options, wrong = client.options(path), client.patch(path)

    assert (204, allow) == (options.status_code, options.headers["allow"])
    assert (405, allow) == (wrong.status_code, wrong.headers["allow"])


def test_no_listed_method_is_refused(simulator: Simulator) -> None:
    """A listed method is never refused, and a refusal repeats the list."""
    settings = settings_at(simulator, ollama=True)
    with Proxy(settings) as proxy, proxy.client() as client:
        for path in PATHS:
            allow = client.options(path).headers["allow"]
            for method in METHODS:
                answer = client.request(method, path)
                refused = answer.status_code == 405
                assert not (refused and method in allow.split(", ")), (method, path)
                assert not refused or allow == answer.headers["allow"], (method, path)


def test_options_of_an_api_that_is_off(proxy: Proxy) -> None:
    """OPTIONS gets the same answer as any other method: the path does not exist."""
    with proxy.client() as client:
        answer = client.options("/api/chat")

    assert 404 == answer.status_code
    assert "--ollama" in answer.text
