"""One server for each module in this folder, with the models of November 2026."""

from collections.abc import Iterator

import httpx
import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """The simulator of the module's server."""
    with Simulator(catalogue="2026-11", pace=0) as running:
        yield running


@pytest.fixture(scope="module")
def http(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client for the module's server."""
    with pytest.MonkeyPatch.context() as patch:
        clear_environment(patch, tmp_path_factory.mktemp("home"))
        with Proxy(settings_at(simulator)) as proxy, proxy.client() as http:
            yield http
