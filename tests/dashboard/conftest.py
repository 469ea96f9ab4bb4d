"""Servers with a ledger, and a page's live stream."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.masking import Secret
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.dashboard.sample import fill

OWNER_KEY, NAMED_KEY = "the-owners-key", "key-of-scripts"
PAGE = {"x-copilot-proxy-page": "1"}
"""The header that the page sends with changes."""


@pytest.fixture
def server(simulator: Simulator) -> Iterator[Proxy]:
    """A server without keys, whose ledger is empty."""
    with Proxy(settings_at(simulator, ledger=True)) as running:
        yield running


@pytest.fixture
def locked(simulator: Simulator) -> Iterator[Proxy]:
    """A server with two keys, whose ledger has a month of requests."""
    settings = settings_at(simulator, ledger=True, api_key=OWNER_KEY, budget="1000/day")
    keys = (ApiKey(Secret(NAMED_KEY), "scripts"),)
    settings = replace(settings, api_keys=keys)
    fill(settings.ledger_file, days=7)
    with Proxy(settings) as running:
        yield running


@contextmanager
def events(client: httpx.Client) -> Iterator["Events"]:
    """Open a page's live stream."""
    with client.stream("GET", "/dashboard/events") as stream:
        assert 200 == stream.status_code
        yield Events(stream.iter_lines())


class Events:
    """A page's live stream."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self, name: str) -> Any:
        """Return the data of the next event with this name."""
        for line in self._lines:
            if line == f"event: {name}":
                return json.loads(next(self._lines).removeprefix("data: "))
        raise AssertionError(f"the stream has ended without {name}")
