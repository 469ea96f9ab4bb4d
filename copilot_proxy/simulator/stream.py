"""Sends an answer event by event, at the configured pace and with the active faults."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import msgspec

from .call import Call
from .faults import STREAMS
from .refusal import HTML, JSON, UNICORN
from .types import Json, Quirks

ODD_SIZES = (1, 11, 3, 29, 2, 7)


@dataclass(frozen=True)
class Event:
    """A server-sent event; `data` is sent verbatim if it is text, otherwise as JSON."""

    data: Any
    name: str | None = None
    final: bool = False
    """Whether the event marks the answer as complete."""

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        data = self.data.encode() if isinstance(self.data, str) else msgspec.json.encode(self.data)
        name = f"event: {self.name}\n".encode() if self.name else b""
        return name + b"data: " + data + b"\n\n"


DONE = Event("[DONE]")


@dataclass
class Answer:
    """An answer as events and as a single body, and how its API reports errors within a stream."""

    events: Callable[[], Iterable[Event]]
    whole: Callable[[], Json]
    error: Callable[[str], Event]
    failed: Callable[[str], Event] | None = None
    leading: Event | None = None
    filler: Event | None = None
    """An event without content, which the fault `huge_event` pads."""


async def send(call: Call, answer: Answer, headers: dict[str, str], *, streamed: bool) -> None:
    """Send the answer, as a stream or as a single JSON body."""
    faults = call.state.faults.take_all(STREAMS, call.path)
    call.record.whole = answer.whole
    if not streamed or "json_instead_of_sse" in faults:
        await call.pause(call.state.pace)
        await call.json(answer.whole(), headers)
    elif "json_error_instead_of_sse" in faults:
        body = msgspec.json.encode(answer.error("internal_error").data)
        await call.answer(200, body, JSON, headers)
    elif "html_instead" in faults:
        await call.answer(200, UNICORN.encode(), HTML, headers)
    else:
        await _Writer(call, answer, faults).run(headers)


class _Writer:
    """Writes an answer as a stream, with any active faults."""

    def __init__(self, call: Call, answer: Answer, faults: Quirks) -> None:
        self.call = call
        self.answer = answer
        self.faults = faults
        self.packer = zlib.compressobj(wbits=31) if "gzip" in faults else None
        self.sizes: Iterator[int] = cycle((1,) if "one_byte_writes" in faults else ODD_SIZES)
        self.left_over = b""

    async def run(self, headers: dict[str, str]) -> None:
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}
        if self.packer:
            headers["content-encoding"] = "gzip"
        await self.call.start(200, headers)
        if "cut_after_headers" in self.faults:
            await self.call.hang_up()
        for event in self._events():
            if isinstance(event, tuple):
                await self._apply_fault(*event)
                continue
            frame = event.encode()
            if "comments" in self.faults:
                frame = b": keep-alive\n\n" + frame
            await self._write(frame)
            await self.call.pause(self.call.state.pace)
        await self._finish()

    def _events(self) -> Iterator[Event | tuple[str, Event]]:
        """Yield the events, and a tuple (fault name, event) wherever a fault is due."""
        faults = self.faults
        if "empty_stream" in faults:
            return
        if "filter_chunk_only" in faults:
            yield from (one for one in (self.answer.leading, DONE) if one)
            return
        if "error_first_chunk" in faults:
            yield self.answer.error(str(faults["error_first_chunk"] or "internal_error"))
            return
        pending = [name for name in faults if name in MIDDLE_FAULTS]
        done = False
        for number, event in enumerate(self.answer.events()):
            if pending and (number >= self.call.state.middle or event.final):
                for name in pending:
                    yield name, event
                    if name in ENDS:
                        return
                pending = []
            if event.data == "[DONE]":
                done = True
                if "no_done" in faults:
                    continue
            yield event
            if event.final and "cut_after_finish" in faults:
                return
            if event.final and "stall_after_finish" in faults:
                yield "stall_after_finish", event
        if "extra_done" in faults and not done:
            yield DONE

    async def _apply_fault(self, name: str, event: Event) -> None:
        """Apply the fault `name` at this point of the stream. It may cut `event` short."""
        value = self.faults[name]
        answer = self.answer
        if name in ("stall_mid_stream", "stall_after_finish"):
            await self._flush()
            if value is None:
                await self.call.wait_until_gone()
            await self.call.pause(float(value))
        elif name == "cut_mid_stream":
            await self._flush()
            await self.call.hang_up()
        elif name == "cut_mid_event":
            await self._flush()
            frame = event.encode()
            await self._write(frame[: len(frame) // 2])
            await self._flush()
            await self.call.hang_up()
        elif name == "error_chunk":
            await self._write(answer.error(str(value or "internal_error")).encode())
        elif name == "failed":
            make = answer.failed or answer.error
            await self._write(make(str(value or "server_error")).encode())
        elif name == "invalid_json_event":
            await self._write(b'data: {"choices":[{"index":0,]\n\n')
        elif name == "invalid_utf8":
            await self._write(b'data: {"id":"\xff\xfe\xc3"}\n\n')
        elif name == "huge_event":
            await self._write_huge(int(value or 1 << 20))

    async def _write_huge(self, size: int) -> None:
        filler = self.answer.filler or Event({})
        data = {**filler.data, "padding": "x" * size}
        await self._write(Event(data, filler.name).encode())

    async def _write(self, data: bytes) -> None:
        """Send bytes with the line endings, compression and write sizes that the faults require."""
        if "crlf" in self.faults:
            data = data.replace(b"\n", b"\r\n")
        if self.packer:
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        if "one_byte_writes" not in self.faults and "split_writes" not in self.faults:
            await self.call.write(data)
            return
        # The end of an event is sent together with the start of the next one, so that the stream
        # may be split anywhere.
        self.left_over += data
        while len(self.left_over) > (size := next(self.sizes)):
            await self.call.write(self.left_over[:size])
            await self.call.pause(0)
            self.left_over = self.left_over[size:]

    async def _flush(self) -> None:
        if self.left_over:
            await self.call.write(self.left_over)
            self.left_over = b""

    async def _finish(self) -> None:
        await self._flush()
        await self.call.end(self.packer.flush() if self.packer else b"")


MIDDLE_FAULTS = {
    "cut_mid_event",
    "cut_mid_stream",
    "end_early",
    "stall_mid_stream",
    "error_chunk",
    "failed",
    "invalid_json_event",
    "invalid_utf8",
    "huge_event",
}
ENDS = {"end_early", "error_chunk", "failed", "cut_mid_event", "cut_mid_stream"}
"""Faults after which no more events follow."""
