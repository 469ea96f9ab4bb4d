"""Parses requests as uvicorn does, but also accepts two forms that RFCs 9110 and 9112 allow.

One is an offer to switch to another protocol, which is ignored; the other is an absolute request
target.
"""

from urllib.parse import urlsplit

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TolerantProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a parser that continues after an ignored upgrade."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._parse_request(rest)
        except httptools.HttpParserError as error:
            self.send_400_response(str(error))

    def _parse_request(self, data: memoryview) -> memoryview:
        """Parse `data` up to an ignored upgrade, and return the data after that request's head."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.ignores_upgrade():
                self._parse_head_without_upgrade()
                return data[upgrade.args[0] :]
        return data[:0]

    def ignores_upgrade(self) -> bool:
        """Return whether the request offers a protocol that this server does not support.

        Java's HTTP client offers HTTP/2 (h2c) with every request. A server may ignore the offer
        (RFC 9110, section 7.8), but the parser would read the body as data in that protocol.
        """
        if not self.parser.should_upgrade() or self.parser.get_method() == b"CONNECT":
            return False
        return not self._should_upgrade()

    def _parse_head_without_upgrade(self) -> None:
        """Parse the head again with a new parser, which then expects a body."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [
            b"%s: %s" % (name, value)
            for name, value in self.headers
            if name not in (b"upgrade", b"http2-settings")
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _should_upgrade(self) -> bool:
        """Return whether the request opens a WebSocket, and all earlier requests have ended."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return bool(is_idle and self.parser.get_method() == b"GET" and super()._should_upgrade())

    def use_target_host(self) -> None:
        """Replace Host with the host of an absolute request target (RFC 9112, section 3.2.2)."""
        try:
            name = urlsplit(self.url.decode("latin-1")).netloc.encode("latin-1")
        except ValueError:
            name = b""
        if all(key != b"host" for key, _ in self.headers):
            self.headers.append((b"host", name))
        self.headers[:] = [(key, name if key == b"host" else value) for key, value in self.headers]
