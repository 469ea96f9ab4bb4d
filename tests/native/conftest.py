"""The server, with a recording of its connection to the simulator.

Native requests and answers pass through unchanged, except for the repairs in these tests. The
simulator is strict, and its records are exact.
"""

from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.call import Call
from copilot_proxy.simulator.faults import MODEL_PATHS
from copilot_proxy.simulator.recorder import RecordedRequest
from tests.conftest import Proxy

NEW: Final = "some_field_of_tomorrow"


class Wire:
    """The connection to the simulator, with a recording of it."""

    def __init__(self, proxy: Proxy, simulator: Simulator, written: list[bytes]) -> None:
        self.http = proxy.client()
        self._simulator = simulator
        self._written = written

    def post(self, path: str, body: ClientRequest, **headers: str) -> httpx.Response:
        """Return the server's successful answer to a client that uses Copilot's own API."""
        self._written.clear()
        answer = self.http.post(path, json=body, headers=headers)
        assert 200 == answer.status_code, answer.text
        api = path.removeprefix("/v1/").replace("/", "_")
        assert api == answer.headers["x-copilot-proxy-route"]
        return answer

    @property
    def last_request(self) -> RecordedRequest:
        """Return the last request that reached the simulator."""
        return self._simulator.state.requests[-1]

    @property
    def written(self) -> str:
        """Return the body of the simulator's last answer."""
        return b"".join(self._written).decode()


@pytest.fixture
def wire(proxy: Proxy, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    written: list[bytes] = []
    for name in ("write", "end"):
        _record(monkeypatch, name, written)
    wire = Wire(proxy, simulator, written)
    with wire.http:
        yield wire


def _record(monkeypatch: pytest.MonkeyPatch, name: str, written: list[bytes]) -> None:
    original = getattr(Call, name)

    async def recorded(call: Call, data: bytes = b"") -> None:
        if call.path in MODEL_PATHS:
            written.append(data)
        await original(call, data)

    monkeypatch.setattr(Call, name, recorded)
