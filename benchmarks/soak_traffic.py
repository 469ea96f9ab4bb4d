"""The requests of a soak test and their expected answers, both determined by the seed."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from benchmarks.soak_client import NORMAL, Behavior, ClientResponse
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.simulator.embeddings import DEFAULT_SIZE, vector
from tests.grammars import named_events
from tests.matrix_clients import CLIENTS, TOOL, Ask, Client, Turn

MODELS: Final = (
    "gpt-4o",
    "gpt-5-mini",
    "gpt-5.4",
    "claude-sonnet-4.5",
    "claude-opus-5",
    "claude-haiku-4.5",
    "gemini-3.1-pro-preview",
)
"""Models that Copilot serves on different APIs, so that most requests are translated."""

KEY: Final = "soak-key-0123456789abcdef"
MAX_BODY_BYTES: Final = 300_000
"""The server's `max_body_bytes`."""
_CITIES: Final = ("Paris", "London", "Rome", "Madrid", "Vienna", "Oslo")
_LETTERS: Final = 'aäbßcçdeéfghiìjkłmnñoöpqrsştuüvwxyz  \\"/<>&{}\t日本語🦜👩‍🚀'
_TOKEN_LIMIT: Final = 8000
"""The token limit of requests; no answer reaches it."""


@dataclass(frozen=True)
class Request:
    """A request, and the check of its answer."""

    kind: str
    method: str
    path: str
    body: bytes
    check: Callable[[ClientResponse], str | None]
    """Returns what is wrong with an answer of status 200, or None if it is correct."""
    client: Client
    """The client whose error format is expected."""
    said: str | None = None
    """The expected text, or None if any is fine; a broken stream may stop anywhere in it."""
    behavior: Behavior = NORMAL
    key: str = KEY
    refused: int | None = None
    """The status with which the proxy must refuse the request; None if it must answer."""
    then: Callable[[ClientResponse], "Request"] | None = None
    """Makes the request that follows a correct answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request headers."""
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if self.client.api == "messages":
            sent["anthropic-version"] = "2023-06-01"
        return sent


@dataclass
class Traffic:
    """Generates random requests."""

    choice: random.Random
    known_models: bytes = field(default=b"")

    def next(self) -> Request:
        """Return a request of a random kind, choosing common kinds more often."""
        kinds = (
            (40, self.words),
            (16, self._tools),
            (6, self._picture),
            (8, self._disconnecting),
            (4, self._slow_reader),
            (4, self._slow_body),
            (8, self._embeddings),
            (6, self._list),
            (2, self._health),
            (3, self._too_large),
            (3, self._wrong_key),
            (2, self._invalid_json),
        )
        weights = [weight for weight, _ in kinds]
        made = self.choice.choices([make for _, make in kinds], weights)[0]
        return made()

    def words(self, *, longest: int = 900) -> Request:
        """Return a prompt whose answer repeats it, or one that asks for a list of numbers."""
        client, model = self.choice.choice(CLIENTS), self.choice.choice(MODELS)
        if self.choice.random() < 0.3:
            last = self.choice.randrange(20, longest)
            text = f"Please count to {last}"
            said = " ".join(str(number) for number in range(1, last + 1))
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
        """Return a request that triggers a tool call; its follow-up sends the tool result."""
        client, model = self.choice.choice(CLIENTS), self.choice.choice(MODELS)
        city, weather = self.choice.choice(_CITIES), self._text()
        turns = client.user(f"What is the weather in {city}?")
        stream = self.choice.random() < 0.6

        def is_called(response: ClientResponse) -> str | None:
            calls = [(c.name, c.arguments) for c in _read(client, response, stream=stream).calls]
            right = [(TOOL, {"city": city})]
            return None if calls == right else f"called {calls}, not {right}"

        def answered(response: ClientResponse) -> Request:
            said = _read(client, response, stream=stream)
            results = client.results([(call.id, weather) for call in said.calls])
            text = f"This is copilot-proxy's simulator, playing {model}. {TOOL} answered: {weather}"
            history = [*turns, *said.turns, *results]
            return self._chat("tool result", client, model, history, text, tools=True)

        request = self._chat("tool call", client, model, turns, None, tools=True, stream=stream)
        return replace(request, check=is_called, then=answered)

    def _disconnecting(self) -> Request:
        """Return a request whose client disconnects at a random point in the answer."""
        request = self.words(longest=3000)
        leaving = Behavior(leave_after=self.choice.randrange(0, 6000))
        return replace(request, kind="disconnect", behavior=leaving)

    def _slow_reader(self) -> Request:
        slow = Behavior(read_size=self.choice.choice((512, 2048)), read_pause=0.01)
        return replace(self.words(longest=600), kind="slow reader", behavior=slow)

    def _slow_body(self) -> Request:
        request = self.words(longest=100)
        slow = Behavior(send_size=max(1, len(request.body) // 20), send_pause=0.05)
        return replace(request, kind="slow body", behavior=slow)

    def _too_large(self) -> Request:
        request = self.words(longest=100)
        body = request.body + b" " * (MAX_BODY_BYTES + self.choice.randrange(1, 1_000_000))
        return replace(request, kind="too large", body=body, refused=413)

    def _wrong_key(self) -> Request:
        return replace(self.words(longest=100), kind="wrong key", key="sk-wrong", refused=401)

    def _invalid_json(self) -> Request:
        body = self._text().encode() + b"{"
        return replace(self.words(longest=100), kind="invalid JSON", body=body, refused=400)

    def _embeddings(self) -> Request:
        texts = [self._text() for _ in range(self.choice.randrange(1, 6))]
        size = self.choice.choice((64, 256, DEFAULT_SIZE))
        body = {"model": "text-embedding-3-small", "input": texts, "dimensions": size}

        def is_right(response: ClientResponse) -> str | None:
            found = [one["embedding"] for one in json.loads(response.body)["data"]]
            return None if found == [vector(text, size) for text in texts] else "different vectors"

        path = "/v1/embeddings"
        return Request("embeddings", "POST", path, _encoded(body), is_right, CLIENTS[0])

    def _list(self) -> Request:
        def is_same(response: ClientResponse) -> str | None:
            self.known_models = self.known_models or response.body
            return None if response.body == self.known_models else "a different list of models"

        return Request("models", "GET", "/v1/models", b"", is_same, CLIENTS[0])

    def _health(self) -> Request:
        def is_healthy(response: ClientResponse) -> str | None:
            return None if json.loads(response.body)["status"] == "ok" else "not healthy"

        return Request("health", "GET", "/health", b"", is_healthy, CLIENTS[0])

    def _chat(
        self,
        kind: str,
        client: Client,
        model: str,
        turns: list[Turn],
        said: str | None,
        *,
        tools: bool = False,
        stream: bool | None = None,
    ) -> Request:
        stream = self.choice.random() < 0.7 if stream is None else stream
        system = "Be exact." if self.choice.random() < 0.5 else None
        ask = Ask(model, turns, system=system, tools=tools, limit=_TOKEN_LIMIT, stream=stream)

        def is_right(response: ClientResponse) -> str | None:
            found = _read(client, response, stream=stream)
            if (found.text, found.finish) == (said, client.stopped):
                return None
            return f"said {found.text[-300:]!r} ({found.finish}), not {(said or '')[-300:]!r}"

        kind = f"{client.api} {'stream' if stream else 'whole'}, {kind}"
        body = _encoded(client.body(ask))
        return Request(kind, "POST", client.path, body, is_right, client, said)

    def _text(self) -> str:
        """Return random text with characters that are tricky in JSON and UTF-8."""
        size = self.choice.randrange(1, 400)
        drawn = "".join(self.choice.choices(_LETTERS, k=size))
        return f"x{drawn}x"


def broken_stream(client: Client, response: ClientResponse) -> str:
    """Return the text of a broken stream, which must end with an error of its API."""
    text = response.body.decode()
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


def _read(client: Client, response: ClientResponse, *, stream: bool) -> Any:
    return client.read(client.fold(response.body.decode()) if stream else json.loads(response.body))


def _echo(model: str, text: str, seen: str = "") -> str:
    """Return the simulator's answer to a prompt without a special meaning."""
    return (
        f"This is copilot-proxy's simulator, playing {model}: no model has read this.{seen} "
        f"You said: {text}"
    )


def _encoded(body: ClientRequest) -> bytes:
    return json.dumps(body).encode()
