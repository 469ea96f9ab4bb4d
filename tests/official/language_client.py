"""A client for a language server: JSON-RPC messages over stdio."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable
from typing import Any

TIMEOUT = 120

Handler = Callable[[dict[str, Any]], Any]


class LanguageClient:
    """Talks to a running server.

    `handlers` answer the server's requests, by method; other requests are answered with null.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.handlers: dict[str, Handler] = {}
        self.notes: list[tuple[str, Any]] = []
        """The server's notifications: (method, parameters)."""
        self._process = process
        self._number = 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def request(self, method: str, params: Any) -> Any:
        """Send a request and return its result; raise AssertionError for an error."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            answer = self._answers.get(timeout=TIMEOUT)
            if answer["id"] == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def close(self) -> None:
        """Release the pipes of a server that has ended."""
        self._reader.join(60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        with self._writing:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream
        while line := stream.readline():
            size = 0
            while line.strip():
                name, _, value = line.decode().partition(":")
                size = int(value) if name.lower() == "content-length" else size
                line = stream.readline()
            self._take(json.loads(stream.read(size)))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self._answers.put(message)
        elif "id" in message:
            handler = self.handlers.get(message["method"], lambda _: None)
            self._send({"id": message["id"], "result": handler(message.get("params"))})
        else:
            self.notes.append((message["method"], message.get("params")))
