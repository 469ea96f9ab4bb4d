"""A value of the wrong type anywhere in a request never causes an internal error.

The request is passed on, or refused with an error that the client can read.
"""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

import msgspec
import pytest

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.prompt_blocks import blocks
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from copilot_proxy.formats.types import Json
from tests.formats.requests import PNG
from tests.formats.routes import APIS, claude, model_on
from tests.selection import COMPLETE

CLIENTS: Final = {**APIS, "gemini": GEMINI, "ollama": OLLAMA}
MODELS: Final = (
    claude("claude-opus-5"),
    model_on("responses", "gpt-5.5"),
    model_on("chat_completions", "gpt-5-mini"),
    model_on("chat_completions", "gemini-3.1-pro-preview", vendor="Google"),
)
DATA: Final = PNG.partition(",")[2]
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "enum": ["a", "b"]},
        "$filter": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["path"],
}
TEXT: Final = {"type": "text", "text": "Hi"}
PICTURE: Final = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": DATA},
}
BODIES: Final[dict[str, Json]] = {
    "messages": {
        "model": "m",
        "max_tokens": 2000,
        "system": [{**TEXT, "cache_control": {"type": "ephemeral"}}],
        "tools": [
            {
                "name": "read",
                "description": "Reads",
                "input_schema": SCHEMA,
                "strict": True,
                "input_examples": [{"path": "a"}],
            }
        ],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["END"],
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "messages": [
            {
                "role": "user",
                "content": [
                    TEXT,
                    PICTURE,
                    {
                        "type": "document",
                        "title": "Notes",
                        "citations": {"enabled": True},
                        "source": {"type": "content", "content": [TEXT, PICTURE]},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "Hi"},
                    },
                    {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "c2ln"},
                    {**TEXT, "citations": [{"type": "char_location", "cited_text": "Hi"}]},
                    {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a"}},
                    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "srv_1",
                        "content": [{"type": "web_search_result", "url": "u", "title": "t"}],
                    },
                    {
                        "type": "web_fetch_tool_result",
                        "tool_use_id": "srv_1",
                        "content": {
                            "type": "web_fetch_result",
                            "url": "u",
                            "content": {
                                "type": "document",
                                "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                            },
                        },
                    },
                    PICTURE,
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": False,
                        "content": [TEXT, PICTURE, {"type": "tool_reference", "tool_name": "read"}],
                    }
                ],
            },
            {
                "role": "system",
                "content": [TEXT],
                "output_config": {"effort": "low"},
                "clear_at": "next_user_message",
            },
        ],
    },
    "chat_completions": {
        "model": "m",
        "tools": [
            {"type": "function", "function": {"name": "read", "parameters": SCHEMA}},
            {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "read"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "description": "An answer", "schema": SCHEMA},
        },
        "stop": ["END"],
        "stream_options": {"include_usage": True},
        "reasoning_effort": "high",
        "messages": [
            {"role": "system", "content": [TEXT]},
            {
                "role": "user",
                "name": "Ada",
                "content": [
                    TEXT,
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {
                        "type": "file",
                        "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,SGk="},
                    },
                ],
            },
            {
                "role": "assistant",
                "name": "Bob",
                "content": [TEXT, {"type": "image_url", "image_url": {"url": PNG}}],
                "refusal": "No",
                "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
                "audio": {"id": "a"},
                "reasoning_text": "Hm",
                "reasoning_opaque": "c2ln",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}],
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "read", "arguments": '{"path": "a"}'},
                        "extra_content": {"google": {"thought_signature": "c2ln"}},
                    },
                    {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "x"}},
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [
                    TEXT,
                    {"type": "image", "mimeType": "image/png", "data": DATA},
                    {"type": "resource", "resource": {"mimeType": "image/png", "blob": DATA}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_2", "content": "Done"},
        ],
    },
    "responses": {
        "model": "m",
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "read", "parameters": SCHEMA},
            {"type": "custom", "name": "patch", "format": {"type": "text"}},
            {
                "type": "namespace",
                "name": "mcp",
                "tools": [{"type": "function", "name": "list", "parameters": SCHEMA}],
            },
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "read"}],
        },
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "include": ["reasoning.encrypted_content"],
        "input": [
            {"role": "developer", "content": [{"type": "input_text", "text": "Hi"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": PNG, "detail": "low"},
                    {
                        "type": "input_file",
                        "filename": "a.txt",
                        "file_data": "data:text/plain;base64,SGk=",
                    },
                ],
            },
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "content": [{"type": "reasoning_text", "text": "Hm"}],
                "encrypted_content": "c2ln",
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Hi", "annotations": [{"type": "x"}]},
                    {"type": "refusal", "refusal": "No"},
                    {"type": "input_image", "image_url": PNG},
                ],
            },
            {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [{"type": "input_text", "text": "Hi"}],
            },
            {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"},
            {"type": "tool_search_call", "call_id": "call_3", "arguments": {"query": "x"}},
            {
                "type": "tool_search_output",
                "call_id": "call_3",
                "tools": [{"type": "function", "name": "find", "parameters": SCHEMA}],
            },
            {"type": "web_search_call", "id": "ws", "action": {"type": "search", "query": "x"}},
            {"type": "image_generation_call", "id": "ig", "status": "completed", "result": DATA},
            {
                "type": "configuration_update",
                "reasoning": {"effort": "low"},
                "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
            },
        ],
    },
    "gemini": {
        "model": "m",
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "read", "parameters": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read"]}},
        "generationConfig": {
            "temperature": 1,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        },
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": DATA}}],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True, "thoughtSignature": "c2ln"},
                    {"inlineData": {"mimeType": "image/png", "data": DATA}},
                    {"executableCode": {"language": "PYTHON", "code": "x"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "x"}},
                    {"functionCall": {"id": "1", "name": "read", "args": {"path": "a"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "1", "name": "read", "response": {"result": "Hi"}}}
                ],
            },
        ],
    },
    "ollama": {
        "model": "m",
        "think": True,
        "format": SCHEMA,
        "options": {"temperature": 1, "stop": ["END"], "num_predict": 10},
        "tools": [{"type": "function", "function": {"name": "read", "parameters": SCHEMA}}],
        "messages": [
            {"role": "user", "content": "Hi", "images": [DATA]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "Hm",
                "tool_calls": [{"function": {"name": "read", "arguments": {"path": "a"}}}],
            },
            {"role": "tool", "tool_name": "read", "content": "Hi"},
        ],
    },
}
"""A request with every field that a client may send, for each client API."""

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 5, -1.5, "", "x", [], [None], ["x"], [{}]),
    *({}, {"a": 1}, {"type": "text"}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all values in `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in inner:
        yield (*path, name)
        if isinstance(one, dict | list):
            yield from places(one, (*path, name))


def changed(body: Json, path: tuple[Any, ...], value: object) -> Json:
    """Return a copy of `body` with another value at `path`."""
    body = deepcopy(body)
    holder: Any = body
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return body


@pytest.mark.parametrize("api", CLIENTS)
def test_wrong_types(api: str) -> None:
    """Each value in a request is replaced with values of other types; only CI tries all of them."""
    client = CLIENTS[api]
    cases = [(path, value) for path in places(BODIES[api]) for value in VALUES]
    passed = 0
    for path, value in cases if COMPLETE else random.sample(cases, len(cases) // 10):
        raw = json.dumps(changed(BODIES[api], path, value)).encode()
        for model in MODELS:
            try:
                request = client.parse(raw)
                client.conversation(request)
                sent = prepare(client, request, model, ReasoningCache(), request_id="r")
                msgspec.json.encode(sent.body)
                list(blocks(sent.api.name, sent.body))
            except CopilotProxyError:
                continue
            except Exception as error:
                raise AssertionError(f"{value!r} at {path} for {model.id}") from error
            passed += 1

    assert passed > len(cases) // 100
