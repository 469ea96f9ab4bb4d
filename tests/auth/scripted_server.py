"""A local server that returns arbitrary answers, as a captive portal or a proxy might."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_server import HttpServer

HTML = "<!DOCTYPE html><html><body><h1>Please log in to the network</h1></body></html>"


@dataclass
class Answer:
    """An HTTP answer; a body that is not a string is sent as JSON."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedServer(HttpServer):
    """Returns `answers` one by one, repeating the last, and records the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer()]
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        super().__init__()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Record the request and send the next answer."""
        self.paths.append(handler.path)
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        length = int(handler.headers.get("content-length") or 0)
        self.bodies.append(handler.rfile.read(length))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        content = text.encode()
        handler.send_response_only(answer.status)
        for name, value in {"content-length": str(len(content)), **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
