"""Valid requests for each route, with as many fields as possible, for the tests to modify."""

from typing import Final

from copilot_proxy.formats.types import ClientRequest, Json
from tests.matrix_clients import CLIENTS, GEMINI, PNG, TOOL, Ask, Client

MODELS: Final = ("gpt-4o", "gpt-5.5", "claude-opus-5", "gemini-3.1-pro-preview", "gpt-5-mini")
"""A model on each of Copilot's APIs, and a model on several of them."""
MORE: Final[dict[str, Json]] = {
    "chat_completions": {
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["x"],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}},
        },
        "reasoning_effort": "low",
        "user": "me",
    },
    "responses": {
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": "auto",
        "metadata": {"a": "b"},
    },
    "messages": {
        "thinking": {"type": "adaptive"},
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": "me"},
        "stop_sequences": ["x"],
        "temperature": 1,
    },
    "gemini": {
        "generationConfig": {
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            "stopSequences": ["x"],
            "temperature": 1,
        },
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "safety_settings": [],
    },
    "ollama": {
        "format": {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}},
        "think": "low",
        "keep_alive": "5m",
        "options": {"temperature": 0.5, "stop": ["x"], "num_ctx": 4096, "top_k": 3},
    },
}
CALLED: Final[dict[str, list[ClientRequest]]] = {
    "chat_completions": [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": TOOL, "arguments": "{}"}}
            ],
        }
    ],
    "responses": [{"type": "function_call", "call_id": "c1", "name": TOOL, "arguments": "{}"}],
    "messages": [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": TOOL, "input": {}}],
        }
    ],
    "gemini": [
        {"role": "model", "parts": [{"functionCall": {"name": TOOL, "args": {}, "id": "c1"}}]}
    ],
    "ollama": [
        {
            "role": "assistant",
            "thinking": "Hm.",
            "tool_calls": [{"id": "c1", "function": {"name": TOOL, "arguments": {"city": "x"}}}],
        }
    ],
}
GEMINI_EMBEDDINGS: Final[list[ClientRequest]] = [
    {"content": {"parts": [{"text": "x"}]}, "taskType": "CLUSTERING"},
    {"model": "models/x", "content": {"parts": [{"text": "x"}]}, "outputDimensionality": 3},
]
EMBEDDINGS: Final[list[ClientRequest]] = [
    {"model": "text-embedding-3-small", "input": "x", "dimensions": 3},
    {"model": "text-embedding-3-small", "input": ["x", "y"], "encoding_format": "base64"},
    {"model": "text-embedding-3-small", "input": [[15339], [1917]], "user": "me"},
]
COMPLETIONS: Final[list[ClientRequest]] = [
    {"model": "gpt-4o", "prompt": "x", "max_tokens": 9, "stop": ["x"], "user": "me"},
    {"model": "gpt-5.5", "prompt": ["x", "y"], "n": 2, "echo": True, "logprobs": None},
    {"model": "claude-opus-5", "prompt": [[15339], [1917]], "suffix": "", "best_of": 1},
    {"model": "gpt-4o", "prompt": [15339], "stream": True, "stream_options": {}},
]

GENERATED: Final[list[ClientRequest]] = [
    {
        "model": model,
        "prompt": "Hi",
        "system": "Be brief.",
        "images": [PNG],
        "format": "json",
        "stream": stream,
        "think": stream,
        "options": {"num_predict": 2000, "seed": 1},
    }
    for model in MODELS
    for stream in (True, False)
]
"""Requests to Ollama's ``/api/generate``."""
EMBEDDED: Final[dict[str, list[ClientRequest]]] = {
    "/api/embed": [
        {"model": "text-embedding-3-small", "input": ["x", "y"], "dimensions": 8},
        {"model": "text-embedding-3-small", "input": "x", "truncate": True},
    ],
    "/api/embeddings": [{"model": "text-embedding-3-small", "prompt": "x"}],
}
"""Requests for embeddings in Ollama's two forms."""
SHOWN: Final[list[ClientRequest]] = [{"model": "gpt-4o:latest", "verbose": True}]


def requests_of(client: Client) -> list[ClientRequest]:
    """Return a short request, a stream, and a long conversation for each model."""
    found: list[ClientRequest] = []
    for model in MODELS:
        turns = [
            *client.user("Hi", image=True, mark=True),
            *CALLED[client.api],
            *client.results([("c1", "sunny")]),
            *client.assistant("Fine."),
            *client.user("And now?"),
        ]
        full = Ask(model, turns, system="Be brief.", tools=True, limit=2000, stream=True)
        found += [
            client.body(Ask(model, client.user("Hi"))),
            client.body(Ask(model, client.user("Hi"), stream=True)),
            {**client.body(full), **MORE[client.api]},
        ]
    return found


def paths_of(client: Client) -> list[str]:
    """Return the paths that a client may send these requests to."""
    asks = [Ask(model, [], stream=stream) for model in MODELS for stream in (False, True)]
    found = {client.path_of(ask): None for ask in asks}
    if client is GEMINI:
        found[f"/v1beta/models/{MODELS[0]}:streamGenerateContent"] = None  # an array
    return list(found)


def counted_requests() -> list[ClientRequest]:
    """Return requests to count tokens."""
    requests = requests_of(CLIENTS[2])
    dropped = ("max_tokens", "stream", "temperature", "stop_sequences", "metadata")
    return [{k: v for k, v in body.items() if k not in dropped} for body in requests]
