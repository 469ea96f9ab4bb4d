"""Tests a connection with the requests that the client would send."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from copilot_proxy import __version__
from copilot_proxy.cli.console import counted, print_message
from copilot_proxy.clients.client import Client, Connection
from copilot_proxy.clients.models import Api
from copilot_proxy.cost.nano_aiu import NANO, rounded
from copilot_proxy.server.discovery import RunningServer

_TIMEOUT: Final = 120.0
"""Seconds to wait for an answer; models may think first."""
_MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_TOKENS: Final = 64
_PROMPT: Final = "Answer with the word OK."


def print_probe(server: RunningServer, client: Client, to: Connection) -> bool:
    """Send the client's first requests, print the results, and return whether they succeeded."""
    if not client.apis:
        return True
    for method, path, body in _requests(client, to):
        try:
            status, answer, cost = _send(server, method, path, body, to)
        except (OSError, http.client.HTTPException) as error:
            print_message(f"Tried {method} {path}: no answer ({error}).")
            return False
        if status != http.HTTPStatus.OK:
            print_message(f"Tried {method} {path}: {status}, {_message(answer)}")
            return False
        print_message(f"Tried {method} {path}: {_result(answer, cost)}")
    return True


def _requests(client: Client, to: Connection) -> Iterator[tuple[str, str, Any]]:
    if client.lists_models:
        yield "GET", "/v1/models", None
    model = {"model": to.model.id}
    message = {"role": "user", "content": _PROMPT}
    paths: Mapping[Api, tuple[str, Any]] = {
        "chat": ("/v1/chat/completions", {**model, "messages": [message]}),
        "responses": ("/v1/responses", {**model, "input": _PROMPT, "store": False}),
        "messages": ("/v1/messages", {**model, "messages": [message], "max_tokens": _MAX_TOKENS}),
        "gemini": (
            f"/v1beta/models/{to.model.id}:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": _PROMPT}]}]},
        ),
    }
    yield "POST", *paths[client.apis[0]]


def _send(
    server: RunningServer, method: str, path: str, body: Any, to: Connection
) -> tuple[int, Any, str | None]:
    """Send a request, and return the status, the decoded body, and the cost in credits if it is
    known."""
    # No HTTP proxy, because the server is on this machine.
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=_TIMEOUT)
    headers = {
        "authorization": f"Bearer {to.key}",
        "x-api-key": to.key,
        "content-type": "application/json",
        "user-agent": f"copilot-proxy/{__version__}",
    }
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, server.prefix + path, content, headers)
        response = connection.getresponse()
        text = response.read(_MAX_BYTES)
        cost = response.getheader("x-copilot-proxy-cost")
    finally:
        connection.close()
    try:
        return response.status, json.loads(text), cost
    except ValueError:
        return response.status, None, cost


def _message(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "without an explanation.")


def _result(answer: Any, cost: str | None) -> str:
    """Describe a successful answer."""
    if not isinstance(answer, dict):
        return "an answer that is not JSON."
    if isinstance(models := answer.get("data"), list):
        return f"{counted(len(models), 'model')}."
    usage = answer.get("usage") or answer.get("usageMetadata") or {}
    counts = [
        next((usage[name] for name in names if name in usage), None)
        for names in (
            ("prompt_tokens", "input_tokens", "promptTokenCount"),
            ("completion_tokens", "output_tokens", "candidatesTokenCount"),
        )
    ]
    parts = ["answered"]
    if None not in counts:
        parts += [f"{counts[0]:,} tokens in", f"{counts[1]:,} out"]
    if cost is not None:
        parts.append(f"{rounded(round(float(cost) * NANO))} AI credits")
    return ", ".join(parts) + "."
