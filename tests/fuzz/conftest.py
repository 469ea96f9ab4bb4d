"""One server for all cases of a module; the cases are counted, and leftover tasks are found."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from hypothesis import settings

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at
from tests.selection import examples

_FACTOR: Final = int(os.environ.get("FUZZ", "1"))
TIMEOUT: Final = 300 * _FACTOR
"""Maximum duration of a test in seconds."""
_SILENCE: Final = 60
"""Seconds of silence that count as a hang; longer than the interval of keep-alive comments."""


def server_for(simulator: Simulator, **more: object) -> Proxy:
    """A server that is signed in to the simulator."""
    return Proxy(settings_at(simulator, keep_alive=4 * _SILENCE, ollama=True, **more))


def many(cases: int) -> settings:
    """Return settings for `cases` examples in CI, and for a twentieth of that elsewhere.

    FUZZ=20 multiplies the number by 20.
    """
    return examples(cases * _FACTOR)


class Target:
    """A server that receives fuzzed requests and must stay healthy."""

    def __init__(self, proxy: Proxy, http: httpx.Client) -> None:
        self.cases = 0
        self._http = http
        self._loop = proxy._loop
        self._before = self._on_loop(_tasks())

    def post(self, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send one case."""
        self.cases += 1
        encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        return self._http.post(path, content=content, headers=encoded)

    def check_health(self, model: str = "gpt-4o") -> None:
        """Check that the server still answers and has no leftover tasks."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        assert 200 == self._http.get("/health").status_code
        assert 200 == self._http.post("/v1/chat/completions", json=body).status_code
        self._http.close()
        assert not self._on_loop(_left(self._before))

    def _on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


async def _tasks() -> set[Any]:
    return asyncio.all_tasks()


async def _left(before: set[Any]) -> set[Any]:
    """Return the tasks that are left when no request is running."""
    ending = asyncio.all_tasks() - before - {asyncio.current_task()}
    return (await asyncio.wait(ending, timeout=60))[1] if ending else set()


@pytest.fixture(scope="module")
def clean_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An environment for a server shared by several tests."""
    with pytest.MonkeyPatch.context() as patch:
        home: Path = tmp_path_factory.mktemp("fuzz")
        clear_environment(patch, home)
        yield


@pytest.fixture(scope="module")
def running(clean_module: None) -> Iterator[Proxy]:
    """A server that is signed in to a simulator."""
    with Simulator(catalogue="2026-03", pace=0) as simulator, server_for(simulator) as proxy:
        yield proxy


@pytest.fixture
def target(running: Proxy, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server for this test; the number of cases is reported at the end."""
    with running.client() as http:
        http.timeout = httpx.Timeout(_SILENCE)
        target = Target(running, http)
        yield target
    request.node.user_properties.append(("cases", target.cases))
