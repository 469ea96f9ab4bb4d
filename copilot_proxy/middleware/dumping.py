"""Dumps what a client sends and what it is answered, around the application."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

from copilot_proxy.dumps import Dump, Dumps


class DumpMiddleware:
    """Wraps the application behind the door, so that nothing is written of whom that refuses."""

    def __init__(self, app: ASGIApp, dumps: Dumps) -> None:
        self._app = app
        self._dumps = dumps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == ScopeType.HTTP
            and scope["method"] == "POST"
            and scope["path"].startswith("/v1/")
        ):
            with self._dumps.request(scope["state"]["context"].request_id) as dump:
                await self._dumped(dump, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _dumped(self, dump: Dump, scope: Scope, receive: Receive, send: Send) -> None:
        # The path without the query: some clients put a key there.
        asked = dump.part("client-request", f"POST {scope['path']}", scope["headers"])
        answered = None

        async def hear() -> ReceiveMessage:
            message = await receive()
            if message["type"] == "http.request":
                asked.write(message["body"])
                if not message.get("more_body"):
                    asked.close()
            return message

        async def tell(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                answered = dump.part("client-answer", str(message["status"]), headers)
            elif message["type"] == "http.response.body" and answered is not None:
                answered.write(message["body"])
                if not message.get("more_body"):
                    answered.close()
            await send(message)

        await self._app(scope, hear, tell)
