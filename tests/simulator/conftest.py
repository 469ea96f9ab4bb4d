"""A separate simulator for every test, and a client that sends everything Copilot requires."""

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.conftest import NO_TLS

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


class Event(NamedTuple):
    """One server-sent event as it arrived."""

    name: str | None
    data: Any


class Copilot:
    """A well-behaved client for the simulator."""

    def __init__(self, simulator: Simulator, http: httpx.Client) -> None:
        self.simulator = simulator
        self.http = http
        self.headers = {
            "editor-version": "vscode/1.137.0",
            "copilot-integration-id": "vscode-chat",
            "x-github-api-version": "2026-08-01",
        }
        self.renew()

    def renew(self) -> None:
        """Exchange the OAuth token for a new Copilot token."""
        answer = self.exchange()
        self.headers["authorization"] = f"Bearer {answer.json()['token']}"

    def exchange(self, token: str = SIMULATED_TOKEN, scheme: str = "token") -> httpx.Response:
        headers = {"authorization": f"{scheme} {token}", "accept": "application/json"}
        return self.http.get("/copilot_internal/v2/token", headers=headers)

    def get(self, path: str, **headers: str | None) -> httpx.Response:
        return self.http.get(path, headers=self.merged(headers))

    def post(self, path: str, body: Any, **headers: str | None) -> httpx.Response:
        return self.http.post(path, json=body, headers=self.merged(headers))

    def merged(self, headers: dict[str, str | None]) -> dict[str, str]:
        """Return the usual headers with these changes; None removes a header."""
        dashed = {name.replace("_", "-"): value for name, value in headers.items()}
        found = {**self.headers, **dashed}
        return {name: value for name, value in found.items() if value is not None}

    def chat(self, text: str = "Hi", model: str = "gpt-4o", **fields: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post("/chat/completions", body)

    def said(self, text: str = "Hi", model: str = "gpt-4o", **fields: Any) -> str:
        """Return the text of a successful answer."""
        answer: Any = self.chat(text, model, **fields).json()
        return str(answer["choices"][0]["message"]["content"])

    def responses(self, given: Any = "Hi", model: str = "gpt-5.4", **fields: Any) -> httpx.Response:
        return self.post("/responses", {"model": model, "input": given, **fields})

    def messages(
        self, text: str = "Hi", model: str = "claude-sonnet-4.5", **fields: Any
    ) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 500}
        return self.post("/v1/messages", {**body, **fields})

    @staticmethod
    def events(text: str) -> list[Event]:
        """Return the events of a stream; data that is not JSON stays text."""
        found = []
        for frame in text.replace("\r\n", "\n").split("\n\n"):
            name, data = None, None
            for line in frame.split("\n"):
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data = value
            if data is not None:
                with contextlib.suppress(ValueError):
                    data = json.loads(data)
                found.append(Event(name, data))
        return found

    def chunks(self, text: str = "Hi", model: str = "gpt-4o", **fields: Any) -> list[Any]:
        """Return the data of a chat stream."""
        answer = self.chat(text, model, stream=True, **fields)
        assert answer.status_code == 200, answer.text
        return [event.data for event in self.events(answer.text)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A simulator without pauses, with the models of March unless a test names a catalogue."""
    name = getattr(request, "param", "2026-03")
    with Simulator(catalogue=name, pace=0) as running:
        yield running


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx.Client]:
    """A plain HTTP client for the simulator."""
    with httpx.Client(base_url=simulator.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        yield client


@pytest.fixture
def copilot(simulator: Simulator, http: httpx.Client) -> Copilot:
    """A client that has a Copilot token."""
    return Copilot(simulator, http)


@pytest.fixture
def weather_tool() -> dict[str, Any]:
    """A tool in the format of chat completions."""
    return {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


@pytest.fixture
def picture() -> dict[str, Any]:
    """An image part in the format of chat completions."""
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
