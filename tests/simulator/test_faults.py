"""Everything that can be made to go wrong, one fault at a time."""

import gzip
import time

import httpx
import pytest

from copilot_proxy.simulator import FAULTS
from copilot_proxy.simulator.exchange_answers import EXCHANGE_ANSWERS
from copilot_proxy.simulator.fault_answers import ANSWERS
from copilot_proxy.simulator.refusal import TOO_OLD

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count to 12"}], "stream": True}
NO_QUOTA = {"error": {"message": "You have no quota", "code": "quota_exceeded"}}


def on(copilot, name, **more):
    copilot.simulator.state.faults.on(name, times=1, **more)


def code(answer):
    return answer.json()["error"]["code"]


def test_the_catalogue_explains_every_fault():
    """Each name has a description for a person."""
    assert len(FAULTS) > 100
    assert all(isinstance(text, str) and len(text) > 10 for text in FAULTS.values())


def test_unknown_faults_are_refused(simulator):
    """A misspelt name is an error that lists the names."""
    with pytest.raises(ValueError, match="rate_limited"):
        simulator.state.faults.on("rate_limit")


@pytest.mark.parametrize("name", ANSWERS)
def test_every_error_answer_can_be_ordered(copilot, name):
    """Each comes once, with the status that its description names, on every model API."""
    expected = int(ANSWERS[name].description[:3])
    for path in ("/chat/completions", "/responses", "/v1/messages", "/embeddings"):
        on(copilot, name)
        answer = copilot.post(path, {})
        assert (expected, True) == (answer.status_code, "x-github-request-id" in answer.headers)
        assert 400 == copilot.post(path, {}).status_code


def test_errors_read_as_documented(copilot):
    """The bodies that clients match on are the real ones."""
    on(copilot, "quota_exceeded")
    answer = copilot.chat()
    assert (402, NO_QUOTA) == (answer.status_code, answer.json())
    assert "retry-after" not in answer.headers
    on(copilot, "quota_exceeded", value="overage_limit_reached")
    assert "overage_limit_reached" == code(copilot.chat())
    on(copilot, "api_version_466")
    assert TOO_OLD == copilot.chat().text
    on(copilot, "resource_exhausted")
    assert 429 == code(copilot.chat())
    on(copilot, "nested_json_429")
    assert "RESOURCE_EXHAUSTED" in copilot.chat().json()["error"]["message"]
    on(copilot, "bad_gateway_html")
    page = copilot.chat()
    assert (502, True) == (page.status_code, page.headers["content-type"].startswith("text/html"))
    on(copilot, "foreign_item_id", value=401)
    assert 401 == copilot.responses().status_code
    on(copilot, "unsupported_api_for_model", value="gpt-4o")
    assert '"gpt-4o" is not accessible via the' in copilot.chat().json()["error"]["message"]
    on(copilot, "rate_limited_body", value=9)
    assert 9 == copilot.chat().json()["error"]["retry_after"]
    on(copilot, "prompt_too_long_anthropic")
    assert "error" == copilot.messages().json()["type"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "30"), (7, "7"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2, ("none", None)],
)
def test_rate_limits_say_how_long(copilot, value, expected):
    """Retry-After is the fault's value: seconds, a date, or not there at all."""
    on(copilot, "rate_limited", value=value)
    answer = copilot.chat()
    assert (429, expected) == (answer.status_code, answer.headers.get("retry-after"))
    assert "rate_limited" == answer.headers["x-ratelimit-exceeded"] == code(answer)


def test_weekly_limits_take_days(copilot):
    """The weekly limit waits for days and mentions the terms, which is no abuse notice."""
    on(copilot, "user_weekly_rate_limited")
    answer = copilot.chat()
    assert int(answer.headers["retry-after"]) > 100_000
    assert "Terms of Service" in answer.json()["error"]["message"]


def test_a_fault_strikes_as_often_as_told(copilot):
    """`times` counts requests; without it a fault stays until it is switched off."""
    faults = copilot.simulator.state.faults
    faults.on("forbidden", times=2)
    assert [403, 403, 200] == [copilot.chat().status_code for _ in range(3)]
    faults.on("forbidden")
    assert [403] * 3 == [copilot.chat().status_code for _ in range(3)]
    assert (True, False) == (faults.off("forbidden"), faults.off("forbidden"))
    faults.on("forbidden")
    faults.clear()
    assert 200 == copilot.chat().status_code


def test_a_fault_strikes_where_told(copilot):
    """`path` keeps a fault to one path, also one that it would not strike by itself."""
    faults = copilot.simulator.state.faults
    faults.on("server_error_500", path="/responses")
    assert (200, 500) == (copilot.chat().status_code, copilot.responses().status_code)
    assert 200 == copilot.get("/models").status_code
    faults.on("server_error_500", path="/models")
    assert (200, 500) == (copilot.chat().status_code, copilot.get("/models").status_code)


def test_faults_do_not_open_the_door(copilot):
    """A request without a token is refused for that, whatever fault is on."""
    copilot.simulator.state.faults.on("quota_exceeded")
    assert 400 == copilot.http.post("/chat/completions", json={}).status_code


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("exchange_401", None, 401),
        ("exchange_403", "billing_locked", 403),
        ("exchange_403", None, 403),
        ("exchange_404", None, 404),
        ("exchange_rate_limit", None, 403),
        ("exchange_500", None, 500),
        ("exchange_500", "503", 503),
        ("exchange_html", None, 502),
        ("exchange_missing_fields", None, 200),
        ("exchange_empty", None, 200),
    ],
)
def test_the_exchange_can_fail(copilot, name, value, status):
    """Each failure of the exchange can be ordered, and passes again."""
    before = copilot.simulator.state.exchanges
    on(copilot, name, value=value)
    answer = copilot.exchange()
    assert (status, before) == (answer.status_code, copilot.simulator.state.exchanges)
    if name == "exchange_403":
        details = answer.json()["error_details"]
        assert (value or "no_copilot_access") == details["notification_id"]
    assert name in EXCHANGE_ANSWERS
    assert 200 == copilot.exchange().status_code


def test_the_connection_can_be_reset_before_the_answer(copilot):
    """The client sees a reset instead of an answer."""
    on(copilot, "cut_before_headers")
    with pytest.raises(httpx.ReadError):
        copilot.chat()
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.finished == "fault")
    assert ("/chat/completions", None) == (record.path, record.status)


def test_faults_before_the_answer_reach_every_path_that_is_named(copilot):
    """Also the token exchange can be cut or stalled."""
    on(copilot, "cut_before_headers", path="/copilot_internal/v2/token")
    assert 200 == copilot.chat().status_code
    with pytest.raises(httpx.TransportError):
        copilot.exchange()


def test_the_answer_can_be_late(copilot):
    """Silence before the headers for as long as told, or until the client gives up."""
    on(copilot, "stall_before_headers", value=0.05)
    begun = time.monotonic()
    assert 200 == copilot.chat().status_code
    assert time.monotonic() - begun >= 0.05
    on(copilot, "stall_before_headers")
    with pytest.raises(httpx.ReadTimeout):
        copilot.http.post(
            "/chat/completions", json=CHAT, headers=copilot.headers, timeout=0.05
        )
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.closed_by_client)
    assert None is record.status


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
    """Each of the APIs that stream."""
    return request.param


def stream(copilot, path):
    """The good part of a stream and the error that ended it."""
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
    """The connection breaks before, within or between events, and what was sent arrives."""
    on(copilot, name)
    text, failure = stream(copilot, path)
    assert isinstance(failure, httpx.RemoteProtocolError)
    assert (name == "cut_after_headers") == (text == "")
    assert (name == "cut_mid_stream") == text.endswith("\n\n")
    copilot.simulator.state.recorder.wait_for(lambda one: one.finished == "fault")


def ends(text):
    """Whether the stream said that it was complete."""
    return any(one in text for one in ('"stop"', "response.completed", "message_delta"))


def test_streams_can_end_too_early(copilot, path):
    """A proper end without a finish, and a finish without the last event."""
    on(copilot, "end_early")
    text, failure = stream(copilot, path)
    assert (None, False) == (failure, ends(text))
    on(copilot, "cut_after_finish")
    text, failure = stream(copilot, path)
    assert (None, True) == (failure, ends(text))
    assert "[DONE]" not in text
    assert "message_stop" not in text


def test_streams_can_be_empty(copilot, path):
    """Nothing at all, or only what says nothing."""
    on(copilot, "empty_stream")
    assert ("", None) == stream(copilot, path)
    on(copilot, "filter_chunk_only")
    text, _ = stream(copilot, path)
    events = copilot.events(text)
    assert (2 if path == "/chat/completions" else 1) == len(events)
    assert "[DONE]" == events[-1].data


def test_streams_can_stall(copilot, path):
    """Silence in the middle for as long as told; then it goes on."""
    on(copilot, "stall_mid_stream", value=0.05)
    begun = time.monotonic()
    text, failure = stream(copilot, path)
    assert (None, True) == (failure, ends(text))
    assert time.monotonic() - begun >= 0.05


def test_a_stall_ends_when_the_client_leaves(copilot, path):
    """An endless silence is noticed to be alone within milliseconds."""
    on(copilot, "stall_mid_stream")
    with copilot.http.stream("POST", path, json=STREAMS[path], headers=copilot.headers) as answer:
        next(answer.iter_text())
        left = time.monotonic()
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.closed_by_client)
    assert record.ended is not None
    assert record.ended - left < 0.25
    assert record.done.is_set()


def test_streams_can_carry_errors(copilot, path):
    """First or in the middle, in the shape of the API, with the code that was asked for."""
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
    """A responses stream may end with response.failed; others with their own error."""
    on(copilot, "failed", value="cyber_policy")
    text, _ = stream(copilot, path)
    last = copilot.events(text)[-1]
    assert "error" in str(last.data)
    if path == "/responses":
        assert ("response.failed", "failed") == (last.name, last.data["response"]["status"])
        assert "cyber_policy" == last.data["response"]["error"]["code"]
        assert "copilot_usage" in last.data


def test_streams_can_be_something_else(copilot, path):
    """JSON or a page for people, although a stream was asked for."""
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
    """An event that is not JSON, one that is not UTF-8, one that is huge."""
    on(copilot, "invalid_json_event")
    text, _ = stream(copilot, path)
    assert 1 == sum(isinstance(one.data, str) and one.data[0] == "{" for one in copilot.events(text))
    on(copilot, "invalid_utf8")
    answer = copilot.post(path, STREAMS[path])
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    on(copilot, "huge_event", value=100_000)
    text, _ = stream(copilot, path)
    assert max(map(len, text.split("\n\n"))) > 100_000
    assert ends(text)


def test_the_end_can_be_marked_wrongly(copilot, path):
    """A missing [DONE], and one where there should be none."""
    on(copilot, "no_done")
    text, _ = stream(copilot, path)
    assert (True, False) == (ends(text), "[DONE]" in text)
    on(copilot, "extra_done")
    text, _ = stream(copilot, path)
    assert (1, True) == (text.count("[DONE]"), text.endswith("data: [DONE]\n\n"))


def strip(events):
    """Events without what differs from answer to answer."""
    return [(event.name, type(event.data), str(event.data)[:20]) for event in events]


@pytest.mark.parametrize("name", ["one_byte_writes", "split_writes", "crlf", "comments", "gzip"])
def test_the_wire_can_be_odd(copilot, path, name):
    """However the bytes are cut, joined or packed, the events are the same."""
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


def test_splits_fall_inside_characters(copilot):
    """A character of several bytes arrives in two pieces, so that decoders are tested."""
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
    # The kernel may join writes, so single parts say little: all together have to be right.
    assert "日本語" * 2 in "".join(
        event.data["choices"][0]["delta"].get("content") or ""
        for event in copilot.events(b"".join(parts).decode())
        if isinstance(event.data, dict) and event.data["choices"]
    )
    assert is_whole(b"".join(parts))


def test_faults_of_streams_leave_whole_answers_alone(copilot):
    """A fault of streams does not strike an answer that is none."""
    on(copilot, "cut_mid_stream")
    assert 200 == copilot.chat().status_code


def test_short_streams_break_before_their_finish(copilot):
    """A fault of the middle happens before the finish even when there is no middle."""
    copilot.simulator.state.faults.on("wordless")
    on(copilot, "cut_mid_stream")
    with pytest.raises(httpx.RemoteProtocolError):
        copilot.chat(model="claude-sonnet-4.5", stream=True)
