"""The clients' orders: a mix of requests, each determined by its number."""

import random
from typing import Any, Final, Literal, NamedTuple

Kind = Literal[
    "good",  # answered, with the cost as a total and in parts
    "parts",  # answered, with the cost in parts only
    "silent",  # answered without a cost, so the price list decides
    "failing",  # fails after the cost was reported
    "erring",  # fails before the cost was reported, with an error in the stream
    "billed",  # fails with an error that has the cost, in the stream or with status 500
    "cut",  # breaks off before the cost
    "left",  # the client disconnects before the cost
    "refused",  # Copilot refuses it, and charges nothing
    "stale",  # Copilot refuses the token first
    "unwell",  # Copilot answers with a server error, but may have billed the request
]
_KINDS: Final[tuple[tuple[Kind, int], ...]] = (
    ("good", 53),
    ("parts", 6),
    ("silent", 6),
    ("failing", 7),
    ("erring", 4),
    ("billed", 3),
    ("cut", 5),
    ("left", 8),
    ("refused", 5),
    ("stale", 1),
    ("unwell", 2),
)
"""Each kind, and its share in percent."""
CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
MESSAGES: Final = "/v1/messages"
EMBEDDINGS: Final = "/v1/embeddings"
COUNTING: Final = "/v1/messages/count_tokens"
MODELS: Final = {"gpt-4o": CHAT, "gpt-5.4": RESPONSES, "claude-opus-4.7": MESSAGES}
"""Models that Copilot serves on a single API."""
MOVED_MODEL: Final = "gpt-5-mini"
"""A model that is listed for Chat Completions, which refuses it, and for the Responses API."""
EMBEDDING_MODEL: Final = "text-embedding-3-small"
CLIENTS: Final = (
    "claude-cli/2.1.332",
    "codex_exec/0.171.0",
    "opencode/1.18.33",
    "Kilo-Code/7.7.9",
    "pi/1.6.0",
    "QwenCode/0.24.4",
    "OpenAI/Python 2.1.0",
    "factory-cli/0.215.0",
)


class Order(NamedTuple):
    """One request."""

    number: int
    kind: Kind
    path: str
    model: str
    stream: bool

    @property
    def session(self) -> str:
        """The session of the request; each request has its own."""
        return f"order-{self.number}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        agent = CLIENTS[self.number % len(CLIENTS)]
        return {"user-agent": agent, "session-id": self.session}

    @property
    def body(self) -> dict[str, Any]:
        """The body of the request, whose text names the order."""
        text = f"Please fill order {self.number} {self.kind}."
        turns = [{"role": "user", "content": text}]
        match self.path:
            case "/v1/embeddings":
                return {"model": self.model, "input": [text] * (1 + self.number % 3)}
            case "/v1/responses":
                return {"model": self.model, "stream": self.stream, "input": text}
            case "/v1/messages/count_tokens":
                return {"model": self.model, "messages": turns}
        body = {"model": self.model, "stream": self.stream, "messages": turns}
        return {**body, "max_tokens": 900} if self.path == MESSAGES else body


def make_orders(count: int, seed: int = 1) -> list[Order]:
    """Return orders in a reproducible random sequence, with every API, model and streaming mode."""
    choose = random.Random(seed)
    kinds = [kind for kind, share in _KINDS for _ in range(share)]
    orders = []
    for number in range(count):
        kind, stream = choose.choice(kinds), choose.random() < 0.6
        path = choose.choice((CHAT, RESPONSES, MESSAGES) * 6 + (EMBEDDINGS, COUNTING))
        model = choose.choice((*MODELS, MOVED_MODEL) if number % 9 == 0 else (*MODELS,))
        if path == EMBEDDINGS:
            model, stream = EMBEDDING_MODEL, False
            kind = kind if kind in ("good", "refused", "unwell") else "good"
        elif path == COUNTING:
            model, stream, kind = "claude-opus-4.7", False, "good"
        orders.append(Order(number, kind, path, model, stream))
    return orders
