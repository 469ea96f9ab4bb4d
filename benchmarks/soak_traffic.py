"""The requests of a soak: what is asked follows from the seed, and so does what must come back."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from benchmarks.soak_client import POLITE, Got, Manners
from copilot_proxy.simulator.embeddings import DEFAULT_SIZE, vector
from tests.grammars import named_events
from tests.matrix_clients import CLIENTS, TOOL, Ask, Client, Json

MODELS: Final = (
    "gpt-4o",
    "gpt-5-mini",
    "gpt-5.4",
    "claude-sonnet-4.5",
    "claude-opus-5",
    "claude-haiku-4.5",
    "gemini-3.1-pro-preview",
)
"""Models on one API, on two and on each of the three: most requests are translated."""

KEY: Final = "soak-key-0123456789abcdef"
MOST_BYTES: Final = 300_000
"""`max_body_bytes` of the server."""
_CITIES: Final = ("Paris", "London", "Rome", "Madrid", "Vienna", "Oslo")
_LETTERS: Final = 'aäbßcçdeéfghiìjkłmnñoöpqrsştuüvwxyz  \\"/<>&{}\t日本語🦜👩‍🚀'
_ENOUGH: Final = 8000
"""Tokens that an answer may have; no answer here needs as many."""


@dataclass(frozen=True)
class Request:
    """One request, and how to tell whether its answer is right."""

    kind: str
    method: str
    path: str
    body: bytes
    check: Callable[[Got], str | None]
    """What is wrong with an answer of status 200, None if nothing is."""
    client: Client
    """Whose errors its errors are."""
    said: str | None = None
    """The text of the answer, where it has one: a broken stream may stop anywhere in it."""
    manners: Manners = POLITE
    key: str = KEY
    refused: int | None = None
    """The status that it must be refused with."""
    then: Callable[[Got], "Request"] | None = None
    """Makes the request that follows a right answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What is sent along."""
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if self.client.api == "messages":
            sent["anthropic-version"] = "2023-06-01"
        return sent


@dataclass
class Traffic:
    """Draws requests, one after the other."""

    choice: random.Random
    known_models: bytes = field(default=b"")

    def next(self) -> Request:
        """Any kind of request, the everyday ones more often."""
        kinds = (
            (40, self.words),
            (16, self._tools),
            (6, self._picture),
            (8, self._leaver),
            (4, self._slow_reader),
            (4, self._slow_body),
            (8, self._embeddings),
            (6, self._list),
            (2, self._health),
            (3, self._too_large),
            (3, self._wrong_key),
            (2, self._nonsense),
        )
        weights = [weight for weight, _ in kinds]
        made = self.choice.choices([make for _, make in kinds], weights)[0]
        return made()

    def words(self, *, longest: int = 900) -> Request:
        """A question whose answer repeats it, or a long list of numbers."""
        client, model = self.choice.choice(CLIENTS), self.choice.choice(MODELS)
        if self.choice.random() < 0.3:
            most = self.choice.randrange(20, longest)
            text = f"Please count to {most}"
            said = " ".join(str(number) for number in range(1, most + 1))
        else:
            text = self._text()
            said = _echo(model, text)
        return self._chat("words", client, model, client.user(text), said)

    def _picture(self) -> Request:
        client, model = self.choice.choice(CLIENTS), self.choice.choice(MODELS)
        text = self._text()
        said = _echo(model, text, " I see 1 image.")
        return self._chat("picture", client, model, client.user(text, image=True), said)

    def _tools(self) -> Request:
        """A tool is called, and its result is answered."""
        client, model = self.choice.choice(CLIENTS), self.choice.choice(MODELS)
        city, weather = self.choice.choice(_CITIES), self._text()
        turns = client.user(f"What is the weather in {city}?")
        stream = self.choice.random() < 0.6

        def is_called(got: Got) -> str | None:
            calls = [(c.name, c.arguments) for c in _read(client, got, stream=stream).calls]
            right = [(TOOL, {"city": city})]
            return None if calls == right else f"called {calls}, not {right}"

        def answered(got: Got) -> Request:
            said = _read(client, got, stream=stream)
            results = client.results([(call.id, weather) for call in said.calls])
            text = f"This is copilot-proxy's simulator, playing {model}. {TOOL} answered: {weather}"
            history = [*turns, *said.turns, *results]
            return self._chat("tool result", client, model, history, text, tools=True)

        asked = self._chat("tool call", client, model, turns, None, tools=True, stream=stream)
        return replace(asked, check=is_called, then=answered)

    def _leaver(self) -> Request:
        """A client that goes away somewhere in its answer."""
        asked = self.words(longest=3000)
        leaving = Manners(leave_after=self.choice.randrange(0, 6000))
        return replace(asked, kind="leaver", manners=leaving)

    def _slow_reader(self) -> Request:
        slow = Manners(read_size=self.choice.choice((512, 2048)), read_pause=0.01)
        return replace(self.words(longest=600), kind="slow reader", manners=slow)

    def _slow_body(self) -> Request:
        asked = self.words(longest=100)
        slow = Manners(send_size=max(1, len(asked.body) // 20), send_pause=0.05)
        return replace(asked, kind="slow body", manners=slow)

    def _too_large(self) -> Request:
        asked = self.words(longest=100)
        body = asked.body + b" " * (MOST_BYTES + self.choice.randrange(1, 1_000_000))
        return replace(asked, kind="too large", body=body, refused=413)

    def _wrong_key(self) -> Request:
        return replace(self.words(longest=100), kind="wrong key", key="sk-wrong", refused=401)

    def _nonsense(self) -> Request:
        body = self._text().encode() + b"{"
        return replace(self.words(longest=100), kind="nonsense", body=body, refused=400)

    def _embeddings(self) -> Request:
        texts = [self._text() for _ in range(self.choice.randrange(1, 6))]
        size = self.choice.choice((64, 256, DEFAULT_SIZE))
        body = {"model": "text-embedding-3-small", "input": texts, "dimensions": size}

        def is_right(got: Got) -> str | None:
            found = [one["embedding"] for one in json.loads(got.body)["data"]]
            return None if found == [vector(text, size) for text in texts] else "other vectors"

        path = "/v1/embeddings"
        return Request("embeddings", "POST", path, _encoded(body), is_right, CLIENTS[0])

    def _list(self) -> Request:
        def is_same(got: Got) -> str | None:
            self.known_models = self.known_models or got.body
            return None if got.body == self.known_models else "another list of models"

        return Request("models", "GET", "/v1/models", b"", is_same, CLIENTS[0])

    def _health(self) -> Request:
        def is_well(got: Got) -> str | None:
            return None if json.loads(got.body)["status"] == "ok" else "not well"

        return Request("health", "GET", "/health", b"", is_well, CLIENTS[0])

    def _chat(
        self,
        kind: str,
        client: Client,
        model: str,
        turns: list[Json],
        said: str | None,
        *,
        tools: bool = False,
        stream: bool | None = None,
    ) -> Request:
        stream = self.choice.random() < 0.7 if stream is None else stream
        system = "Be exact." if self.choice.random() < 0.5 else None
        ask = Ask(model, turns, system=system, tools=tools, limit=_ENOUGH, stream=stream)

        def is_right(got: Got) -> str | None:
            found = _read(client, got, stream=stream)
            if (found.text, found.finish) == (said, client.stopped):
                return None
            return f"said {found.text[-300:]!r} ({found.finish}), not {(said or '')[-300:]!r}"

        kind = f"{client.api} {'stream' if stream else 'whole'}, {kind}"
        body = _encoded(client.body(ask))
        return Request(kind, "POST", client.path, body, is_right, client, said)

    def _text(self) -> str:
        """Words that mean nothing, with all that JSON and UTF-8 make hard."""
        size = self.choice.randrange(1, 400)
        drawn = "".join(self.choice.choices(_LETTERS, k=size))
        return f"x{drawn}x"


def broken_stream(client: Client, got: Got) -> str:
    """What a stream had said when it broke; fails unless it tells so as its API does."""
    text = got.body.decode()
    if client.api == "messages" and "event: message_start" not in text:
        (only,) = named_events(text)
        client.check_error(only)
        return ""
    client.check_broken(text)
    return "".join(_deltas(client, text))


def _deltas(client: Client, text: str) -> list[str]:
    events = [
        json.loads(line.removeprefix("data: "))
        for line in text.split("\n")
        if line.startswith("data: ") and line != "data: [DONE]"
    ]
    if client.api == "chat_completions":
        choices = [choice for event in events for choice in event.get("choices") or ()]
        return [choice["delta"].get("content") or "" for choice in choices]
    if client.api == "responses":
        return [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    return [delta["text"] for delta in deltas if delta["type"] == "text_delta"]


def _read(client: Client, got: Got, *, stream: bool) -> Any:
    return client.read(client.fold(got.body.decode()) if stream else json.loads(got.body))


def _echo(model: str, text: str, seen: str = "") -> str:
    """What the simulator says to words that ask for nothing."""
    return (
        f"This is copilot-proxy's simulator, playing {model}: no model has read this.{seen} "
        f"You said: {text}"
    )


def _encoded(body: Json) -> bytes:
    return json.dumps(body).encode()
