"""A reply shows how Copilot's answer ended, and which parts of the request Copilot dropped."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats.sse import DONE
from copilot_proxy.logs.text_format import TextFormatter
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply
from tests.formats.routes import claude, every_client, model_on, sent

TEXT = b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}'
PROBED = {"id": "1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


class Upstream:
    """A response from Copilot with these events, or with this whole body."""

    def __init__(self, *batches: Sequence[bytes], body: object = None) -> None:
        self.headers: dict[str, str] = {}
        self.is_stream = body is None
        self.refusals: list[UpstreamRefusal] = []
        self.refused = self.refusals.append
        self._batches = list(batches)
        self._body = body

    async def receive(self, process: Callable[[Sequence[bytes]], Any]) -> object:
        while self._batches:
            if (result := process(self._batches.pop(0))) is not None:
                return result
        return None

    async def whole(self) -> object:
        return self._body

    def finish(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def reply(client: str, upstream: Any) -> Reply:
    request = sent(client, model_on("chat_completions", "gemini-4-neon", "Google"))
    return Reply(upstream, request, RequestRecord("r", client))


@every_client
@pytest.mark.anyio
async def test_the_end_mark_completes_a_stream(client: str) -> None:
    """`[DONE]` without a finish reason ends an answer; without `[DONE]`, the answer was cut off."""
    await reply(client, Upstream([TEXT], [DONE])).whole()

    with pytest.raises(BrokenResponse, match="was cut off"):
        await reply(client, Upstream([TEXT])).whole()


@every_client
@pytest.mark.anyio
async def test_a_body_with_only_token_counts_is_an_answer(client: str) -> None:
    """A whole body needs no end mark, whether the client streams or not."""
    await reply(client, Upstream(body=PROBED)).whole()

    streamed = [batch async for batch in reply(client, Upstream(body=PROBED)).events()]
    assert streamed


START = (
    b'{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", '
    b'"content": [], "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}%s}}'
)
LISTED = b', "input_transformations": [{"type": "dropped"}]'
FINISH = b'{"type": "message_delta", "delta": {"stop_reason": "end_turn"%s}, "usage": {}}'
STOP = b'{"type": "message_stop"}'


@every_client
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.anyio
async def test_fields_dropped_by_copilot_are_in_the_header_or_the_log(
    client: str, early: bool
) -> None:
    """A change reported by Copilot after the headers of a stream is shown in the log line."""
    record = RequestRecord("r", client)
    request = sent(client, claude("claude-opus-5.5"))
    record.notes = request.notes
    first, last = START % (LISTED if early else b""), FINISH % (b"" if early else LISTED)
    upstream: Any = Upstream([first], [last, STOP])
    replied = Reply(upstream, request, record)

    batches = replied.events()
    await anext(batches)
    header = replied.headers.get("x-copilot-proxy-notes", "")
    async for _ in batches:
        pass

    entry = logging.makeLogRecord({"record": record})
    line = TextFormatter(color=False).format(entry)
    assert early is ("Copilot reports 1 dropped" in header)
    assert early is not ("Copilot reports 1 dropped" in line)


LIMITED = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "No."}}'


@every_client
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.anyio
async def test_a_refusal_by_claude_is_reported_once(client: str, streamed: bool) -> None:
    """The upstream learns that the model has refused the request in an event or in its answer."""
    request = sent(client, claude("claude-sonnet-5.5"))
    upstream: Any = (
        Upstream([START % b"", LIMITED]) if streamed else Upstream(body=json.loads(LIMITED))
    )
    made = Reply(upstream, request, RequestRecord("r", client))

    with suppress(CopilotProxyError):
        if streamed:
            assert [batch async for batch in made.events()]
        else:
            await made.whole()

    assert ["rate_limit_exceeded"] == [one.code for one in upstream.refusals]
