"""Dumps each request and the response that the client gets."""

from copilot_proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from copilot_proxy.dumps import Dump, Dumps


class DumpMiddleware:
    """ASGI middleware; runs after `AccessMiddleware`, so that refused requests are not dumped."""

    def __init__(self, app: ASGIApp, dumps: Dumps) -> None:
        self._app = app
        self._dumps = dumps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and _is_dumped(scope):
            with self._dumps.request(scope["state"]["context"].request_id) as dump:
                await self._call_and_dump(dump, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call_and_dump(self, dump: Dump, scope: Scope, receive: Receive, send: Send) -> None:
        # The path is dumped without the query, where some clients put a key.
        request_part = dump.add_file("client-request", f"POST {scope['path']}", scope["headers"])
        answer_part = None

        async def receive_and_dump() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                request_part.write(message["body"])
                if not message.get("more_body"):
                    request_part.close()
            return message

        async def send_and_dump(message: Message) -> None:
            nonlocal answer_part
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                answer_part = dump.add_file("client-answer", str(message["status"]), headers)
            elif message["type"] == "http.response.body" and answer_part is not None:
                answer_part.write(message["body"])
                if not message.get("more_body"):
                    answer_part.close()
            await send(message)

        # With its own state, the application cannot find the server's `BodyWriter`, and sends all
        # parts of its answer here.
        inner = {**scope, "state": {**scope["state"]}}
        await self._app(inner, receive_and_dump, send_and_dump)


def _is_dumped(scope: Scope) -> bool:
    """Return whether the path is one of an API, rather than a client's telemetry."""
    path: str = scope["path"]
    return path.startswith("/v1/") or scope["state"]["context"].client_api.has_path(path)
