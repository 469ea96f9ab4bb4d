"""Text passes through few files on its way to the client, and few calls go up to a higher layer.

Each step takes time for every event, and makes the code harder to follow.
"""

import asyncio
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import pytest

import copilot_proxy
from copilot_proxy.cost.limits import parse_limits
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at

PACKAGE: Final = Path(copilot_proxy.__file__).parent
PROJECT: Final = tomllib.loads(
    (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)
LAYERS: Final = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
HEIGHTS: Final = {
    name.strip(): -number for number, line in enumerate(LAYERS) for name in line.split("|")
}
"""The level of each folder and module, from the order in which they may import each other."""
MODELS: Final = {
    "chat_completions": "gpt-4.1",
    "responses": "gpt-5.3-codex",
    "messages": "claude-opus-5",
}
"""Models that Copilot serves on a single API."""
PATHS: Final = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class Trace:
    """The calls to the package's functions in one thread.

    `parts` contains the files of the functions called for each part of Copilot's answer, and
    `climbs` contains the calls from a file to a file in a higher layer.
    """

    def __init__(self) -> None:
        self.parts: list[set[str]] = []
        self.climbs: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = file_of(frame.f_code.co_filename) if event == "call" else None
        if name is None:
            return
        if frame.f_code.co_name == "data_received" and name == "upstreams/http/connection":
            self.parts.append(set())
        if self.parts:
            self.parts[-1].add(name)
        caller, back = None, frame.f_back
        while back is not None and caller is None:
            caller, back = file_of(back.f_code.co_filename), back.f_back
        if caller is not None and height(caller) < height(name):
            self.climbs.add((caller, name))


@cache
def file_of(path: str) -> str | None:
    """Return the name of a package file outside the simulator, such as ``relay/reply``."""
    file = Path(path)
    if not file.is_relative_to(PACKAGE) or "simulator" in file.parts:
        return None
    return file.relative_to(PACKAGE).with_suffix("").as_posix()


def height(name: str) -> int:
    return HEIGHTS[name.split("/")[0]]


def traced(proxy: Proxy, client: str, api: str) -> Trace:
    """Return the trace of a streamed request to a model on `api`, after a warm-up request."""
    turn = {"role": "user", "content": "Tell me about the river."}
    body: dict[str, Any] = {"model": MODELS[api], "stream": True}
    body |= {"input": [turn]} if client == "responses" else {"messages": [turn], "max_tokens": 99}
    trace = Trace()
    with proxy.client() as http:
        http.post(PATHS[client], json=body).raise_for_status()
        set_profile(proxy, trace)
        response = http.post(PATHS[client], json=body).raise_for_status()
        set_profile(proxy, None)
    assert response.headers["x-copilot-proxy-route"] == api
    return trace


def set_profile(proxy: Proxy, trace: Trace | None) -> None:
    """Set the function that is called for each call in the server's thread."""

    async def set_it() -> None:
        sys.setprofile(trace)

    asyncio.run_coroutine_threadsafe(set_it(), proxy._loop).result(60)


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    """A server with a budget, whose upstream sends each event separately."""
    with ExitStack() as stack:
        clear_environment(
            stack.enter_context(pytest.MonkeyPatch.context()),
            Path(stack.enter_context(TemporaryDirectory())),
        )
        simulator = stack.enter_context(Simulator(catalogue="2026-03", pace=0.001))
        budget = parse_limits(["9000/month"])
        settings = replace(settings_at(simulator), ledger=True, budget=budget)
        yield stack.enter_context(Proxy(settings))


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize("client", PATHS)
def test_files_per_event(server: Proxy, client: str, api: str) -> None:
    """Text passes through at most 9 files if it is only repaired, and 11 if it is translated.

    A request and its events cause at most 6 calls to a higher layer.
    """
    # On a busy machine, many events may arrive together, or before the server waits for them.
    for _ in range(20):
        trace = traced(server, client, api)
        # The most common part of an answer is another piece of its text.
        (files, count), *_ = Counter(map(frozenset, trace.parts)).most_common()
        is_usual = count > 4 and files > {"relay/reply", "routes/streaming"}
        if is_usual and len(trace.climbs) <= 6:
            break
    assert count > 4
    assert {"relay/reply", "routes/streaming"} < files
    assert sorted(files) == sorted(files)[: 9 if client == api else 11]
    assert sorted(trace.climbs) == sorted(trace.climbs)[:6]
