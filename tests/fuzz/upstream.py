"""A Copilot API that answers with the given bytes and closes the connection."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.conftest import recorded_json

MODELS: Final = {
    "chat_completions": ("gpt-4o", ["/chat/completions"]),
    "responses": ("gpt-5.4", ["/responses"]),
    "messages": ("claude-sonnet-4.5", ["/v1/messages"]),
}
"""For each of Copilot's APIs, a model that is served only there."""


@dataclass
class RawUpstream:
    """The API, which returns `answer` to every request except those for the model list."""

    url: str
    answer: bytes = b""
    asked: int = 0


@contextmanager
def raw_upstream() -> Iterator[RawUpstream]:
    """Run the API in threads, on a free port."""
    upstream = RawUpstream("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps(_catalogue()).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            upstream.asked += 1
            self.wfile.write(upstream.answer)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        upstream.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join(60)


def _catalogue() -> Any:
    """Return the recorded model list, cut down to three models, each with one endpoint."""
    recorded = {model["id"]: model for model in recorded_json("models.json")["data"]}
    return {
        "data": [{**recorded[id], "supported_endpoints": paths} for id, paths in MODELS.values()]
    }
