"""Every cell of the table: each fault with each request that it may affect."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from copilot_proxy.formats.completions.stream_from_chat import joined
from copilot_proxy.formats.types import ClientRequest, ClientResponse
from tests.faults.refused import ACCOUNT, LIMITS, REQUEST, SERVER
from tests.faults.table import CONNECTION, CUT, ODD, WRONG, Error, Row
from tests.matrix_clients import CLIENTS, GEMINI, Ask, Client, Said, Turn

EMBEDDINGS: Final = "/v1/embeddings"
BY_POOL: Final = (*CONNECTION, *CUT, *WRONG)
"""Faults that are also tested with httpx's connection pool."""
TABLE: Final = (*CONNECTION, *CUT, *WRONG, *ODD, *REQUEST, *ACCOUNT, *LIMITS, *SERVER)


class Embeddings(Client):
    """The Embeddings API, reduced to the parts that faults affect."""

    api = "embeddings"
    path = EMBEDDINGS
    endpoint = "/embeddings"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        return []

    def body(self, ask: Ask) -> ClientRequest:
        return {"model": ask.model, "input": ["Ahoy", "there"], "dimensions": 8}


class Completions(Client):
    """The Completions API, reduced to the parts that faults affect."""

    api = "completions"
    path = "/v1/completions"
    endpoint = None
    stopped = called = "stop"
    cut = "length"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        return [{"prompt": text}]

    def body(self, ask: Ask) -> ClientRequest:
        body: ClientRequest = {"model": ask.model, "prompt": ask.turns[-1]["prompt"]}
        if ask.limit:
            body["max_tokens"] = ask.limit
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def read(self, body: ClientResponse) -> Said:
        (choice,), usage = body["choices"], body["usage"]
        counts = usage["prompt_tokens"], None, usage["completion_tokens"]
        return Said(choice["text"], [], choice["finish_reason"], *counts, [])

    def fold(self, text: str) -> ClientResponse:
        *events, end = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        assert "[DONE]" == end
        return joined([json.loads(event) for event in events])

    def check_broken(self, text: str) -> None:
        *events, last = [json.loads(x[6:]) for x in text.splitlines() if x.startswith("data: {")]
        self.check_error(last)
        assert not any(event["choices"][0]["finish_reason"] for event in events)


CHAT, RESPONSES, MESSAGES, OLLAMA = CLIENTS
COMPLETIONS: Final = Completions()


@dataclass(frozen=True)
class Route:
    """A client API, and a model that is called through one of Copilot's APIs."""

    name: str
    client: Client
    model: str

    @property
    def streams(self) -> tuple[bool, ...]:
        return (False,) if self.client.path == EMBEDDINGS else (False, True)


NATIVE: Final = (
    Route("chat_completions", CHAT, "gpt-4.1"),
    Route("responses", RESPONSES, "gpt-5.5"),
    Route("messages", MESSAGES, "claude-sonnet-4.5"),
    Route("embeddings", Embeddings(), "text-embedding-3-small"),
)
TRANSLATED: Final = (
    Route("chat_completions via responses", CHAT, "gpt-5.5"),
    Route("chat_completions via messages", CHAT, "claude-opus-5"),
    Route("responses via chat_completions", RESPONSES, "gpt-4.1"),
    Route("responses via messages", RESPONSES, "claude-opus-5"),
    Route("messages via chat_completions", MESSAGES, "gpt-4.1"),
    Route("messages via responses", MESSAGES, "gpt-5.5"),
    Route("completions via chat_completions", COMPLETIONS, "gpt-4.1"),
    Route("ollama via chat_completions", OLLAMA, "gpt-4.1"),
    Route("ollama via responses", OLLAMA, "gpt-5.5"),
    Route("ollama via messages", OLLAMA, "claude-opus-5"),
    Route("gemini via chat_completions", GEMINI, "gpt-4.1"),
)
ROUTES: Final = (*NATIVE, *TRANSLATED)


@dataclass(frozen=True)
class Cell:
    """A fault that affects a request."""

    row: Row
    route: Route
    stream: bool
    setup: str
    """The name of the setup that the cell is tested on."""

    @property
    def expected(self) -> Error | None:
        """Return the expected outcome from the table."""
        return self.row.stream if self.stream else self.row.whole

    def __str__(self) -> str:
        form = "stream" if self.stream else "whole"
        pool = ", httpx" if self.setup == "httpx" else ""
        return f"{self.row.name}, {self.route.name}, {form}{pool}"


def cells() -> Iterator[Cell]:
    """Yield all cells of the table."""
    for row in TABLE:
        for route in ROUTES if row.translated else NATIVE:
            for stream in route.streams:
                known = row.forms in ("both", "stream" if stream else "whole")
                if known and (row.embeddings or route.client.path != EMBEDDINGS):
                    yield Cell(row, route, stream, row.setup)
                    # Commands, and servers behind a proxy, use httpx's connection pool.
                    if row.setup == "plain" and row in BY_POOL and route is NATIVE[0]:
                        yield Cell(row, route, stream, "httpx")
