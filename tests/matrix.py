"""Tests every chat model on every API with typical requests, and prints the failures.

``python -m tests.matrix`` prints a table for each of the simulator's catalogues.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.simulator import CATALOGUES, Simulator
from copilot_proxy.simulator.recorder import RecordedRequest
from tests.auth.accounts import Time
from tests.conftest import Proxy, clear_environment, settings_at
from tests.matrix_clients import EVERY_CLIENT, TOOL, Ask, Client, Said, Turn

CITIES: Final = {"Paris": "12 degrees", "London": "9 degrees"}
SYSTEM: Final = "Answer like a pirate."
MIDDLE: Final = 8
"""Number of events before the simulator fails mid-stream, enough for some text on any API."""


class Cell:
    """A model on an API."""

    def __init__(
        self, simulator: Simulator, http: httpx.Client, now: Time, client: Client, model: Model
    ) -> None:
        self.simulator = simulator
        self.now = now
        self.http = http
        self.client = client
        self.model = model
        self.routes: set[str] = set()
        """The Copilot APIs that have answered."""

    def post(self, turns: list[Turn], **more: Any) -> httpx.Response:
        """Return the server's answer."""
        ask = Ask(self.model.id, turns, **more)
        return self.http.post(self.client.path_of(ask), json=self.client.body(ask))

    def ask(self, turns: list[Turn], *, stream: bool = False, **more: Any) -> Said:
        """Return the model's answer."""
        answer = self.post(turns, stream=stream, **more)
        assert 200 == answer.status_code, answer.text[:300]
        self.routes.add(answer.headers["x-copilot-proxy-route"])
        return self.client.read(self.client.fold(answer.text) if stream else answer.json())

    def check_refusal(self, answer: httpx.Response, reason: str) -> None:
        """Fail unless the server clearly says that the model cannot do this."""
        assert 400 == answer.status_code, answer.text[:300]
        self.client.check_error(answer.json())
        assert reason in self.client.error(answer.json())["message"]

    @property
    def last_request(self) -> RecordedRequest:
        """Return the last request that reached Copilot."""
        return self.simulator.state.requests[-1]

    @contextmanager
    def fault(self, name: str, value: object = None) -> Iterator[None]:
        """Make Copilot fail the requests in the block."""
        faults = self.simulator.state.faults
        faults.on(name, value=value)
        try:
            yield
        finally:
            faults.off(name)


def text(cell: Cell) -> None:
    """A question is answered with text, and the answer is complete."""
    said = cell.ask(cell.client.user("Ahoy"))
    assert "You said: Ahoy" in said.text
    assert cell.client.stopped == said.finish
    assert not said.calls


def stream(cell: Cell) -> None:
    """The events follow the API's grammar and add up to the same answer."""
    whole = cell.ask(cell.client.user("Ahoy"))
    streamed = cell.ask(cell.client.user("Ahoy"), stream=True)
    assert (whole.text, whole.finish) == (streamed.text, streamed.finish)


def system_prompt(cell: Cell) -> None:
    """The system prompt reaches the model as a system prompt, on every API."""
    cell.ask(cell.client.user("Ahoy"), system=SYSTEM)
    body = cell.last_request.body
    turns = body.get("messages") or body["input"]
    led = [turn for turn in turns if turn.get("role") in ("system", "developer")]
    assert SYSTEM in json.dumps([body.get("system"), body.get("instructions"), led])


def tool_loop(cell: Cell) -> None:
    """A tool is called, its result reaches the model, and the model answers."""
    _tools(cell, ["Paris"], stream=False)


def parallel_tools(cell: Cell) -> None:
    """Two calls in one answer, streamed or whole, stay distinct, and each receives a result."""
    for streamed in (True, False):
        _tools(cell, ["Paris", "London"], stream=streamed)


def _tools(cell: Cell, cities: list[str], *, stream: bool) -> None:
    turns = cell.client.user(f"What is the weather in {' and '.join(cities)}?")
    if cell.model.supports.get("tool_calls") is not True:
        answer = cell.post(turns, tools=True, stream=stream)
        cell.check_refusal(answer, "tools are not supported")
        return
    said = cell.ask(turns, tools=True, stream=stream)
    if cell.model.supports.get("parallel_tool_calls") is not True:
        cities = [call.arguments["city"] for call in said.calls][:1]
    assert [(TOOL, {"city": city}) for city in cities] == [
        (call.name, call.arguments) for call in said.calls
    ]
    assert len(cities) == len({call.id for call in said.calls})
    assert cell.client.called == said.finish

    outputs = [(call.id, CITIES[city]) for call, city in zip(said.calls, cities, strict=True)]
    final = cell.ask(
        [*turns, *said.turns, *cell.client.results(outputs)], tools=True, stream=stream
    )
    assert "agent" == cell.last_request.initiator
    assert all(f"{TOOL} answered: {CITIES[city]}" in final.text for city in cities)
    assert (cell.client.stopped, []) == (final.finish, final.calls)


def image(cell: Cell) -> None:
    """An image reaches a model with vision; for other models, it is refused with a clear error."""
    turns = cell.client.user("What is this?", image=True)
    if cell.model.supports.get("vision") is True:
        assert "I see 1 image." in cell.ask(turns).text
    else:
        cell.check_refusal(cell.post(turns), "does not support image input")
    assert cell.last_request.vision


def length(cell: Cell) -> None:
    """An answer cut off at the limit, streamed or whole, has the right finish reason."""
    for streamed in (True, False):
        said = cell.ask(cell.client.user("Write 200 words"), limit=20, stream=streamed)
        assert cell.client.cut == said.finish


def usage(cell: Cell) -> None:
    """Streamed and whole answers report their tokens, including cached tokens."""
    long = cell.client.user("Ahoy " * 1100, mark=True)
    turns = [*long, *cell.client.assistant("Aye."), *cell.client.user("And now?", mark=True)]
    for streamed in (True, False):
        said = cell.ask(turns, stream=streamed)
        assert 1200 < said.prompt < 2000
        assert said.cached is None or 0 < said.cached < said.prompt
        assert 0 < said.answered < 200


def early_error(cell: Cell) -> None:
    """An error before the answer has its own status, and the API's format."""
    turns = cell.client.user("Ahoy")
    for streamed in (True, False):
        with cell.fault("rate_limited", 7):
            answer = cell.post(turns, stream=streamed)
        assert (429, "7") == (answer.status_code, answer.headers["retry-after"])
        cell.client.check_error(answer.json())
        cell.now.advance(7)
    with cell.fault("bad_gateway_html"):
        answer = cell.post(turns, stream=True)
    assert 502 == answer.status_code
    cell.client.check_error(answer.json())


def late_error(cell: Cell) -> None:
    """A failed stream ends with an error in the API's format, never like a complete stream."""
    if cell.model.supports.get("streaming") is not True:
        return  # Copilot does not stream, so it cannot fail mid-stream
    for fault in ("error_chunk", "cut_mid_stream"):
        with cell.fault(fault):
            answer = cell.post(cell.client.user("Ahoy"), stream=True)
        if cell.client.starts_late and answer.status_code == 502:
            cell.client.check_error(answer.json())
        else:
            assert 200 == answer.status_code, answer.text[:300]
            cell.client.check_broken(answer.text)


CASES: Final[dict[str, Callable[[Cell], None]]] = {
    "text": text,
    "stream": stream,
    "system prompt": system_prompt,
    "tool loop": tool_loop,
    "parallel tools": parallel_tools,
    "image": image,
    "length stop": length,
    "usage": usage,
    "error before the stream": early_error,
    "error mid-stream": late_error,
}


HEAD: Final = (
    "| model | " + " | ".join(f"`{client.path}`" for client in EVERY_CLIENT) + " |",
    "|---" * (1 + len(EVERY_CLIENT)) + "|",
)
"""The first lines of the table."""


def models(name: str) -> list[Model]:
    """Return the usable chat models of one of the simulator's catalogues."""
    catalogue = parse_models(Simulator(catalogue=name).state.catalogue)
    return [m for m in catalogue.usable if m.is_chat and not m.needs_enabling]


class Matrix:
    """The table of a catalogue; each cell is tested once, on first use."""

    def __init__(self, name: str, simulator: Simulator, http: httpx.Client, now: Time) -> None:
        self.name = name
        self._simulator = simulator
        self._now = now
        self._http = http
        self._tried: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}

    def failures(self, model: Model, client: Client) -> dict[str, str]:
        """Return the failing cases of a cell, with reasons."""
        return self._cell(model, client)[1]

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown, with one row for all models with the same results."""
        yield from HEAD
        rows: dict[str, list[str]] = {}
        for model in models(self.name):
            shown = " | ".join(self.shown(model, client) for client in EVERY_CLIENT)
            rows.setdefault(shown, []).append(f"`{model.id}`")
        yield from (f"| {', '.join(names)} | {shown} |" for shown, names in rows.items())

    def shown(self, model: Model, client: Client) -> str:
        """Return the text of a cell."""
        route, failures = self._cell(model, client)
        return f"{route}: {'fails at ' + ', '.join(failures) if failures else 'ok'}"

    def _cell(self, model: Model, client: Client) -> tuple[str, dict[str, str]]:
        key = (model.id, client.api)
        if key not in self._tried:
            cell = Cell(self._simulator, self._http, self._now, client, model)
            failures = _try(cell)
            others = sorted(cell.routes - {client.api})
            self._tried[key] = (f"via {', '.join(others)}" if others else "native", failures)
        return self._tried[key]


def _try(cell: Cell) -> dict[str, str]:
    failures = {}
    for name, case in CASES.items():
        cell.simulator.state.recorder.clear()
        try:
            case(cell)
        except Exception as error:  # report every failure of a cell, not only the first
            failures[name] = f"{type(error).__name__}: {error}"
    return failures


@contextmanager
def running(name: str) -> Iterator[Matrix]:
    """Run the matrix of a catalogue against a separate simulator and server."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        clear_environment(patch, Path(folder))
        now = Time()
        with (
            Simulator(catalogue=name, pace=0, middle=MIDDLE) as simulator,
            Proxy(settings_at(simulator, ollama=True), clock=now.clock) as proxy,
            proxy.client() as http,
        ):
            yield Matrix(name, simulator, http, now)


def main() -> None:
    """Print all tables or the named ones; exit with 1 if anything fails."""
    # The cells cause failures on purpose, and the server logs a warning for each.
    logging.getLogger("copilot_proxy").setLevel(logging.ERROR)
    failed = False
    for name in sys.argv[1:] or CATALOGUES:
        with running(name) as matrix:
            table = "\n".join(matrix.lines())
        print(f"{CATALOGUES[name]}:\n\n{table}\n", flush=True)
        failed |= "fails at" in table
    sys.exit(failed)


if __name__ == "__main__":
    main()
