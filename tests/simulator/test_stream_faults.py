"""Faults after the headers, on every API that streams."""

import gzip
import time

import httpx
import pytest

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count to 12"}], "stream": True}


def on(copilot, name, **more):
    copilot.simulator.state.faults.on(name, times=1, **more)


STREAMS = {
    "/chat/completions": CHAT,
    "/responses": {"model": "gpt-5.4", "input": "Count to 12", "stream": True},
    "/v1/messages": {
        "model": "claude-sonnet-4.5",
        "messages": CHAT["messages"],
        "max_tokens": 900,
        "stream": True,
    },
}


@pytest.fixture(params=STREAMS)
def path(request):
    """The path of each API that streams."""
    return request.param


def stream(copilot, path):
    """Return the received part of a stream and the error that ended it."""
    text, failure = "", None
    try:
        with copilot.http.stream(
            "POST", path, json=STREAMS[path], headers=copilot.headers
        ) as answer:
            assert 200 == answer.status_code
            for part in answer.iter_text():
                text += part
    except httpx.TransportError as error:
        failure = error
    return text, failure


@pytest.mark.parametrize("name", ["cut_after_headers", "cut_mid_event", "cut_mid_stream"])
def test_streams_can_be_cut(copilot, path, name):
    """The connection breaks before, within or between events; everything sent before arrives."""
    on(copilot, name)
    text, failure = stream(copilot, path)
    assert isinstance(failure, httpx.RemoteProtocolError)
    assert (name == "cut_after_headers") == (text == "")
    assert (name == "cut_mid_stream") == text.endswith("\n\n")
    copilot.simulator.state.recorder.wait_for(lambda one: one.finished == "fault")


def ends(text):
    """Return whether the stream was marked as complete."""
    return any(one in text for one in ('"stop"', "response.completed", "message_delta"))


def test_streams_can_end_too_early(copilot, path):
    """A stream may end without a finish reason, or without its last event."""
    on(copilot, "end_early")
    text, failure = stream(copilot, path)
    assert (None, False) == (failure, ends(text))
    on(copilot, "cut_after_finish")
    text, failure = stream(copilot, path)
    assert (None, True) == (failure, ends(text))
    assert "[DONE]" not in text
    assert "message_stop" not in text


def test_streams_can_be_empty(copilot, path):
    """A stream may have no events, or no events with content."""
    on(copilot, "empty_stream")
    assert ("", None) == stream(copilot, path)
    on(copilot, "filter_chunk_only")
    text, _ = stream(copilot, path)
    events = copilot.events(text)
    assert (2 if path == "/chat/completions" else 1) == len(events)
    assert "[DONE]" == events[-1].data


def test_streams_can_stall(copilot, path):
    """A stream pauses for as long as the fault's value says, and then continues."""
    on(copilot, "stall_mid_stream", value=0.05)
    begun = time.monotonic()
    text, failure = stream(copilot, path)
    assert (None, True) == (failure, ends(text))
    assert time.monotonic() - begun >= 0.05


def test_a_stall_ends_when_the_client_leaves(copilot, path):
    """An endless stall ends when the client disconnects."""
    on(copilot, "stall_mid_stream")
    with copilot.http.stream("POST", path, json=STREAMS[path], headers=copilot.headers) as answer:
        next(answer.iter_text())
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.closed_by_client)
    assert record.done.is_set()


def test_streams_can_contain_errors(copilot, path):
    """The error comes first or mid-stream, in the API's format, with the requested code."""
    on(copilot, "error_first_chunk", value="api_error")
    text, _ = stream(copilot, path)
    (event,) = copilot.events(text)
    assert "api_error" in str(event.data)
    assert (None if path == "/chat/completions" else "error") == event.name
    on(copilot, "error_chunk")
    text, _ = stream(copilot, path)
    assert len(copilot.events(text)) > 2
    assert "error" in str(copilot.events(text)[-1].data)
    assert not ends(text)


def test_responses_can_fail(copilot, path):
    """A Responses stream can end with response.failed, and other streams with their own error."""
    on(copilot, "failed", value="cyber_policy")
    text, _ = stream(copilot, path)
    last = copilot.events(text)[-1]
    assert "error" in str(last.data)
    if path == "/responses":
        assert ("response.failed", "failed") == (last.name, last.data["response"]["status"])
        assert "cyber_policy" == last.data["response"]["error"]["code"]
        assert "copilot_usage" in last.data


def test_streams_can_be_json_or_html(copilot, path):
    """JSON or an HTML page is sent although a stream was requested."""
    on(copilot, "json_instead_of_sse")
    answer = copilot.post(path, STREAMS[path])
    assert answer.headers["content-type"].startswith("application/json")
    assert {"choices", "output", "content"} & set(answer.json())
    on(copilot, "json_error_instead_of_sse")
    answer = copilot.post(path, STREAMS[path])
    assert (200, True) == (answer.status_code, "error" in str(answer.json()))
    on(copilot, "html_instead")
    assert copilot.post(path, STREAMS[path]).text.startswith("<!DOCTYPE html>")


def test_events_can_be_broken(copilot, path):
    """An event can be invalid JSON, invalid UTF-8 or huge."""
    on(copilot, "invalid_json_event")
    text, _ = stream(copilot, path)
    assert 1 == sum(
        isinstance(one.data, str) and one.data[0] == "{" for one in copilot.events(text)
    )
    on(copilot, "invalid_utf8")
    answer = copilot.post(path, STREAMS[path])
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    on(copilot, "huge_event", value=100_000)
    text, _ = stream(copilot, path)
    assert max(map(len, text.split("\n\n"))) > 100_000
    assert ends(text)


def test_the_end_mark_can_be_wrong(copilot, path):
    """[DONE] can be missing, or be sent where it does not belong."""
    on(copilot, "no_done")
    text, _ = stream(copilot, path)
    assert (True, False) == (ends(text), "[DONE]" in text)
    on(copilot, "extra_done")
    text, _ = stream(copilot, path)
    assert (1, True) == (text.count("[DONE]"), text.endswith("data: [DONE]\n\n"))


def strip(events):
    """Return events without the fields that differ between answers."""
    return [(event.name, type(event.data), str(event.data)[:20]) for event in events]


@pytest.mark.parametrize("name", ["one_byte_writes", "split_writes", "crlf", "comments", "gzip"])
def test_bytes_can_be_split_joined_or_compressed(copilot, path, name):
    """However the bytes are split, joined or compressed, the events are the same."""
    plain, _ = stream(copilot, path)
    on(copilot, name)
    with copilot.http.stream("POST", path, json=STREAMS[path], headers=copilot.headers) as answer:
        parts = list(answer.iter_raw())
    raw = b"".join(parts)
    if name == "gzip":
        assert "gzip" == answer.headers["content-encoding"]
        raw = gzip.decompress(raw)
    if name == "crlf":
        assert raw.count(b"\n") == raw.count(b"\r\n")
    if name == "comments":
        assert raw.count(b": keep-alive\n\n") == len(copilot.events(plain))
    assert len(copilot.events(plain)) == len(copilot.events(raw.decode()))
    assert strip(copilot.events(plain))[-1] == strip(copilot.events(raw.decode()))[-1]


def test_characters_can_be_split(copilot):
    """A multibyte character arrives in two pieces, as a test for decoders."""
    on(copilot, "split_writes")
    body = {**CHAT, "messages": [{"role": "user", "content": "日本語" * 30}]}
    with copilot.http.stream(
        "POST", "/chat/completions", json=body, headers=copilot.headers
    ) as answer:
        parts = list(answer.iter_raw())

    def is_whole(part):
        try:
            part.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert len(parts) > 10
    # The kernel may join writes, so only the whole is checked, not each part.
    assert "日本語" * 2 in "".join(
        event.data["choices"][0]["delta"].get("content") or ""
        for event in copilot.events(b"".join(parts).decode())
        if isinstance(event.data, dict) and event.data["choices"]
    )
    assert is_whole(b"".join(parts))


def test_stream_faults_do_not_affect_whole_answers(copilot):
    """Stream faults do not apply to whole answers."""
    on(copilot, "cut_mid_stream")
    assert 200 == copilot.chat().status_code


def test_short_streams_fail_before_their_finish(copilot):
    """A mid-stream fault comes before the finish reason, even in a short stream."""
    copilot.simulator.state.faults.on("wordless")
    on(copilot, "cut_mid_stream")
    with pytest.raises(httpx.RemoteProtocolError):
        copilot.chat(model="claude-sonnet-4.5", stream=True)
