"""An upstream that echoes tokens in every possible place."""

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

from tests.http_server import HttpServer

HEADERS = (
    "x-quota-snapshot-chat",
    "x-usage-ratelimit-session",
    "x-ratelimit-exceeded",
    "x-github-request-id",
    "x-request-id",
    "www-authenticate",
    "set-cookie",
    "x-strange",
)


class Mirror(HttpServer):
    """Answers with `status` and with a body that contains the request's Authorization header.

    The `kind` of body is ``json``, ``nested``, ``github``, ``text``, ``html``, ``broken`` (invalid
    JSON), ``event`` (an error in a stream), ``exchange`` (a token exchange that names a host) or
    ``redirect``.
    """

    protocol = "HTTP/1.1"

    def __init__(self, status: int, kind: str) -> None:
        self.paths: list[str] = []
        self.tokens: set[str] = set()
        """The received Authorization headers."""
        self.others: list[str] = []
        """The other parts of the requests."""
        self._status, self._kind = status, kind
        super().__init__()
        self.handler.do_CONNECT = self.handler.do_GET  # type: ignore[attr-defined]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Echo the request."""
        status, kind = self._status, self._kind
        sent = dict(handler.headers.items())
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        self.paths.append(handler.path)
        secret = next(
            (v for n, v in sent.items() if n.lower() in ("authorization", "proxy-authorization")),
            "nothing",
        )
        self.tokens.add(secret)
        rest = [v for n, v in sent.items() if not n.lower().endswith("authorization")]
        self.others.append(f"{handler.path} {rest} {body!r}")
        content, content_type = _body(handler.path, secret, kind)
        handler.send_response(status, f"No {secret}" if handler.command == "CONNECT" else None)
        for name in HEADERS:
            handler.send_header(name, secret)
        if kind == "redirect":
            handler.send_header("location", f"http://127.0.0.1:1/?token={quote(secret)}")
        handler.send_header("retry-after", "5" if status == 429 else secret)
        handler.send_header("content-type", content_type)
        handler.send_header("content-length", str(len(content)))
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True


def _body(path: str, secret: str, kind: str) -> tuple[bytes, str]:
    said = f"no access with {secret} or {quote(secret)} or {quote(secret, safe='')}"
    error = {"message": said, "code": secret, "type": secret, "param": secret, "status": secret}
    if kind == "text":
        return said.encode(), "text/plain"
    if kind == "html":
        return f"<html><title>{said}</title><p>{said}</p></html>".encode(), "text/html"
    if kind == "broken":
        return f'{{"error": "{said}'.encode(), "application/json"
    if kind == "nested":
        nested = json.dumps({"error": error})
        return json.dumps({"error": {"message": nested}}).encode(), "application/json"
    if kind == "github":
        details = {"message": said, "title": said, "url": said, "notification_id": secret}
        answer = {"message": said, "error": secret, "error_description": said}
        return json.dumps({**answer, "error_details": details}).encode(), "application/json"
    if kind == "exchange":
        endpoints = {"api": f"https://{quote(secret)}.example"}
        answer = {"token": secret, "expires_at": secret, "refresh_in": secret}
        return json.dumps({**answer, "endpoints": endpoints}).encode(), "application/json"
    if kind == "event":
        return _events(path, error).encode(), "text/event-stream"
    return json.dumps({"type": "error", "error": error}).encode(), "application/json"


def _events(path: str, error: dict[str, str]) -> str:
    if path == "/responses":
        failed = {"type": "response.failed", "response": {"id": "r", "error": error}}
        answer = [{**error, "type": "error"}, failed]
    elif path == "/v1/messages":
        answer = [{"type": "error", "error": error}]
    else:
        answer = [{"error": error}]
    return "".join(f"data: {json.dumps(one)}\n\n" for one in answer)
