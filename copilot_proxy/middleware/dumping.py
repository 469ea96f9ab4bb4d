"""Dumps each request and the response to the client."""

from copilot_proxy.asgi import BODY, ASGIApp, Message, Receive, Scope, Send
from copilot_proxy.dumps import Dump, Dumps


class DumpMiddleware:
    """ASGI middleware that dumps requests. It runs after `AccessMiddleware`, so refused requests
    are not dumped."""

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
        # Dump the path without the query, where some clients put a key.
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

        # Hide the server's shortcuts for reading and writing bodies (`BODY`, `BodyWriter`) from the
        # application, so that all parts pass through the functions above.
        state = {key: value for key, value in scope["state"].items() if key != BODY}
        inner = {**scope, "state": state}
        await self._app(inner, receive_and_dump, send_and_dump)


def _is_dumped(scope: Scope) -> bool:
    """Return whether the path belongs to an API, rather than to a client's telemetry."""
    path: str = scope["path"]
    return path.startswith("/v1/") or scope["state"]["context"].client_api.has_path(path)
