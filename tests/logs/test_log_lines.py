"""Log lines: what they report about a request, and what they never contain."""

import asyncio
import io
import json
import logging
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from copilot_proxy.cost.nano_aiu import credits, rounded
from copilot_proxy.errors import UpstreamRefusal
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.logs.json_format import JsonFormatter
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.logs.text_format import TextFormatter
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.records import RequestContext, RequestRecord
from copilot_proxy.upstreams.cooldowns import Cooldowns

TOKEN = "ghu_0123456789abcdefghij"
USAGE = {
    "prompt_tokens": 1204,
    "completion_tokens": 312,
    "prompt_tokens_details": {"cached_tokens": 900},
}


def record(**more: object) -> RequestRecord:
    made = RequestRecord("an-id", "chat_completions", model="gpt-5-mini", route="chat_completions")
    for name, value in more.items():
        setattr(made, name, value)
    return made


def http(method: str, path: str, status: int) -> None:
    """Log a request that does not call Copilot, just as the access middleware would."""
    context = RequestContext("an-id", method, path, {}, status=status)
    logging.getLogger("copilot_proxy.middleware.access").info("http", extra={"context": context})


def test_a_request_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The status, model and cost come first; errors come last, with the request's id."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(
            record(
                duration=1.2,
                first_token=0.314,
                stream=True,
                usage=USAGE,
                copilot_usage={"total_nano_aiu": 112_500_000},
                notes=["a", "b"],
            ),
        )
        reporter(record(status=502, error="upstream_broken", client_gone=True, notes=["a"]))
    full, failed = capsys.readouterr().err.splitlines()
    assert full[8:] == (
        " 200 gpt-5-mini         0.11 credits  1.20s  1.2k in (75% cached) 312 out  2 notes"
        "  first 0.31s  stream"
    )
    assert failed[8:] == (
        " 502 gpt-5-mini         0.00s  upstream_broken, client disconnected, 1 note, an-id"
    )


@pytest.mark.parametrize("broken", [{"error": "upstream_broken"}, {"client_gone": True}])
def test_an_answer_that_was_cut_off(
    broken: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """A stream that failed after a 200 status does not look like a successful stream."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(record(**broken))
    assert capsys.readouterr().err[8:].startswith(" cut gpt-5-mini ")


def test_a_line_fits_the_terminal() -> None:
    """The line about an agent's request fits the terminal; details are left out, errors are not."""
    agent = record(
        model="claude-sonnet-5.5",
        duration=12.3,
        first_token=0.8,
        stream=True,
        usage={
            "prompt_tokens": 124_005,
            "completion_tokens": 1312,
            "prompt_tokens_details": {"cached_tokens": 118_230},
        },
        copilot_usage={"total_nano_aiu": 112_340_000_000},
        items=143,
        tools=27,
        body_bytes=512_000,
        effort="high",
        route="messages",
    )
    broken = record(error="upstream_broken", notes=["x" * 100], sent_notes=0)
    lines = {
        columns: TextFormatter(width=partial(int, columns)).format(
            logging.makeLogRecord({"record": agent})
        )
        for columns in (85, 100, 160)
    }
    for columns, line in lines.items():
        assert len(line) <= columns
    assert lines[85].endswith("112.34 credits  12s  124k in (95% cached) 1.3k out")
    assert lines[100] == f"{lines[85]}  first 0.80s"
    assert lines[160] == f"{lines[100]}  via messages  143 msgs 27 tools 512 kB stream high"
    failed = record(
        model="claude-sonnet-5.5",
        status=429,
        error="rate_limit_exceeded",
        local=True,
        request_id="f824d1b6-5490-49a0-8438-300d101e53a7",
    )
    assert len(TextFormatter().format(logging.makeLogRecord({"record": failed}))) <= 100
    narrow = TextFormatter(width=lambda: 40).format(logging.makeLogRecord({"record": broken}))
    assert narrow.endswith(f"upstream_broken, 1 note, {'x' * 100}, an-id")


def test_the_advice_of_a_refusal_is_not_counted_as_a_note() -> None:
    """A request refused by the budget has no notes, since the ledger shows its advice elsewhere."""
    advice = ["To raise it, run: copilot-proxy budget raise 3"]
    refused = record(status=400, error="budget_exceeded", notes=advice)

    assert "note" not in TextFormatter().format(logging.makeLogRecord({"record": refused}))


def test_an_id_fits_the_terminal() -> None:
    """Lines about errors fit 80 columns: they end with the beginning of the id if there is no room
    for the whole id. A log file always has the whole id."""
    request_id = "f824d1b6-5490-49a0-8438-300d101e53a7"
    refused = record(
        model="claude-sonnet-5.5", status=429, error="rate_limit_exceeded", request_id=request_id
    )
    unknown = RequestContext(request_id, "GET", "/v1/" + "x" * 24, {}, status=404, error="no_url")
    for entry in ({"record": refused}, {"context": unknown}):
        short, file, wide = (
            TextFormatter(width=width).format(logging.makeLogRecord(entry))
            for width in (lambda: 80, lambda: None, lambda: 120)
        )
        assert short.endswith(" f824d1b6")
        assert 80 >= len(short)
        assert file.endswith(f" {request_id}")
        assert wide == file


@pytest.mark.parametrize("stream", [True, False])
def test_the_cost_of_an_answer_whose_cost_was_not_reported(stream: bool) -> None:
    """Lines in both formats have the cost that the ledger calculates from the token counts."""
    counted = record(attempts=1, usage=USAGE, stream=stream)
    text, line = (
        formatter.format(logging.makeLogRecord({"record": counted}))
        for formatter in (TextFormatter(), JsonFormatter())
    )
    nano = cost_of(counted).nano
    assert nano is not None
    assert f" 200 gpt-5-mini         {rounded(nano)} credits  " in text
    assert credits(nano) == json.loads(line)["credits"]


def test_the_cost_of_an_incomplete_answer() -> None:
    """The line about an answer that was cut off has the ledger's estimate. Refused requests cost
    nothing, and a failed request without any answer has an unknown cost."""
    cut = record(attempts=1, events=40, tokens_per_event=3.0, client_gone=True)
    line = TextFormatter().format(logging.makeLogRecord({"record": cut}))
    expected = cost_of(cut)
    assert expected.nano is not None
    assert expected.tokens is not None
    assert ("estimated", 120) == (expected.source, expected.tokens.output)
    assert f" cut gpt-5-mini         about {rounded(expected.nano)} credits  " in line
    for broken in (
        record(status=429, attempts=1, error="rate_limited", upstream_status=429),
        record(status=502, attempts=1, error="upstream_broken"),
    ):
        text = TextFormatter().format(logging.makeLogRecord({"record": broken}))
        assert "credits" not in text


async def test_lines_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests are logged in batches, but before any line about a later event."""
    reporter = Reporter()
    with logging_to_stderr("json", reporter):
        for number in range(20):
            reporter(record(duration=float(number)))
        http("GET", "/nowhere", 404)
        reporter(record(duration=20.0))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [*range(20), "http", 20] == [line.get("duration", line["event"]) for line in lines]
    assert sorted(lines, key=lambda line: str(line["time"])) == lines


async def test_a_single_request_is_logged_soon() -> None:
    """The line waits neither for other requests nor for the end of the server."""
    logged = asyncio.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.set()

    handler = Handler()
    with logging_to_stderr("text", reporter := Reporter()):
        logging.getLogger().addHandler(handler)
        try:
            reporter(record())
            await asyncio.wait_for(logged.wait(), 30)
        finally:
            logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("nano", "said"),
    [
        (1_000_000_000, "1.00 credits"),
        (4_000_000, "<0.01 credits"),
        (1_234_567_000_000, "1,234.57 credits"),
    ],
)
def test_a_cost_in_a_line(nano: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A cost has the same digits as in `usage`."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(record(copilot_usage={"total_nano_aiu": nano}))
    assert f"  {said}  0.00s" in capsys.readouterr().err


def test_the_route_is_shown_if_it_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """The route is left out if it is the API that the client used."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(record(route="messages"))
    assert capsys.readouterr().err.endswith("  via messages\n")


def test_a_count_of_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    """The line for a token count does not look like a chat request."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(record(api="count_tokens", route="count_tokens"))
        reporter(record(api="input_tokens", route=None))
    assert 2 == capsys.readouterr().err.count("  tokens counted\n")


def test_a_refusal_from_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal that is repeated without calling Copilot is marked as repeated."""
    reporter = Reporter()
    refused = record(status=429, error="rate_limit_exceeded", route=None, local=True)
    for form in ("text", "json"):
        with logging_to_stderr(form, reporter):
            reporter(refused)
    text, line = capsys.readouterr().err.splitlines()
    assert text.endswith("  rate_limit_exceeded, not sent, an-id")
    assert (None, True) == (json.loads(line)["route"], json.loads(line)["local"])


def test_a_cooldown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Scope, model and remaining time of a cooldown are separate keys."""
    refused = parse_error_response(
        429, {"retry-after": "30"}, b'{"error":{"code":"user_global_rate_limited"}}'
    )
    with (
        logging_to_stderr("json", Reporter()),
        suppress(UpstreamRefusal),
        Cooldowns(time.monotonic).guard("messages", "claude-sonnet-4.5"),
    ):
        raise refused
    line = json.loads(capsys.readouterr().err)
    assert ("warning", "cooldown", "account", None, "user_global_rate_limited", 30) == tuple(
        line[key] for key in ("level", "event", "scope", "model", "code", "retry_in")
    )


def test_a_request_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every key is present, even if its value is unknown."""
    reporter = Reporter()
    with logging_to_stderr("json", reporter):
        reporter(record(model="unknown-model", duration=1.23456, usage=USAGE))
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "an-id",
        "key": None,
        "api": "chat_completions",
        "route": "chat_completions",
        "model": "unknown-model",
        "stream": False,
        "items": 0,
        "tools": 0,
        "images": 0,
        "body_bytes": 0,
        "effort": None,
        "initiator": None,
        "status": 200,
        "error": None,
        "local": False,
        "client_left": False,
        "first_token": None,
        "duration": 1.2346,
        "tokens_in": 1204,
        "tokens_cached": 900,
        "tokens_out": 312,
        "credits": None,
        "notes": [],
    }


@pytest.mark.parametrize(
    ("shape", "line_end"),
    [
        (
            {"items": 3, "tools": 2, "images": 1, "body_bytes": 12_345},
            "3 msgs 2 tools 1 image 12 kB",
        ),
        (
            {"items": 1, "body_bytes": 80, "stream": True, "effort": "high"},
            "1 msg 80 B stream high",
        ),
        ({"items": 2, "noun": "item"}, "2 items"),
        ({"items": 1, "noun": "input"}, "1 input"),
        ({"items": 1, "body_bytes": 999_700, "effort": "a\x1b"}, "1 msg 1 MB a?"),
        ({"items": 1, "body_bytes": 4_600_000, "notes": ["x"]}, "1 note  1 msg 5 MB"),
    ],
)
def test_the_shape_of_a_request(
    shape: dict[str, object], line_end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line has the numbers of messages, tools, images and bytes that are not zero."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter(record(**shape))
    assert capsys.readouterr().err.endswith(f"  {line_end}\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_tokens_are_masked(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Log lines, including tracebacks, contain no token."""
    with logging_to_stderr(form, Reporter()):
        try:
            raise ValueError(f"refused: {TOKEN}")
        except ValueError:
            logging.getLogger("litestar").exception("failed with %s", TOKEN)
        http("GET", f"/{TOKEN}", 404)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "***" in err
    assert TOKEN not in err


def test_other_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """Refusals and model lookups have a line, whatever characters the path contains."""
    with logging_to_stderr("text", Reporter()):
        http("POST", "/v1/chat/completions", 401)
        http("GET", "/v1/models/" + "x" * 100, 200)
        http("GET", "/a\x1b[31m\nb\udcff", 404)
    lines = [line[9:] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "401 POST /v1/chat/completions",
        "200 GET /v1/models/" + "x" * 68 + "…",
        "404 GET /a%1B%5B31m%0Ab%3F",
    ]


def test_other_lines_have_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    """Log lines from libraries are shown if they are warnings or errors."""
    with logging_to_stderr("text", Reporter()):
        logging.getLogger("httpx").info("chatter")
        logging.getLogger("copilot_proxy.auth").warning("no new token")
    assert [line[9:] for line in capsys.readouterr().err.splitlines()] == ["warning no new token"]


def test_no_advice_on_web_sockets(capsys: pytest.CaptureFixture[str]) -> None:
    """uvicorn's advice to install a WebSocket library is left out."""
    with logging_to_stderr("text", Reporter()):
        logging.getLogger("uvicorn.error").warning("Unsupported upgrade request.")
        logging.getLogger("uvicorn.error").warning("No supported WebSocket library detected.")
        logging.getLogger("uvicorn.error").warning("Something else.")

    lines = capsys.readouterr().err.splitlines()
    assert ["Something else."] == [line.split("warning ")[1] for line in lines]


def test_logging_is_restored() -> None:
    """After the block, logging is configured as before."""
    root = logging.getLogger()
    requests = logging.getLogger("copilot_proxy.requests")
    before = (list(root.handlers), root.level, requests.level)
    with logging_to_stderr("text", Reporter()):
        assert root.handlers != before[0]
    assert (list(root.handlers), root.level, requests.level) == before


def test_an_answer_that_the_shutdown_aborts(capsys: pytest.CaptureFixture[str]) -> None:
    """The line gives the shutdown as the reason, and asyncio's messages about it are left out."""
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        reporter.is_cutting = True
        reporter(record(client_gone=True))
        logging.getLogger("asyncio").error("Task was destroyed but it is pending!")
        try:
            raise TimeoutError
        except TimeoutError:
            logging.getLogger("uvicorn.error").exception("real trouble")
    err = capsys.readouterr().err
    assert " cut gpt-5-mini " in err
    assert "server_stopped" in err
    assert "client disconnected" not in err
    assert "asyncio" not in err
    assert "destroyed" not in err
    assert "real trouble" in err


class Screen(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colors_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, the status has a color: green, yellow or red."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        for status in (200, 404, 502):
            reporter(record(status=status))
        logging.getLogger("x").warning("hm")
    shown = screen.getvalue()
    assert "\x1b[32m200\x1b[0m" in shown
    assert "\x1b[33m404\x1b[0m" in shown
    assert "\x1b[31m502\x1b[0m" in shown
    assert "\x1b[33mwarning\x1b[0m hm" in shown


def test_a_closed_stderr_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server continues after its terminal has been closed."""
    closed = io.StringIO()
    closed.close()
    reporter = Reporter()
    with logging_to_stderr("text", reporter):
        monkeypatch.setattr(sys, "stderr", closed)
        reporter(record())


def test_the_name_of_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    """The line contains the name of the client's key, in both formats."""
    for form in ("text", "json"):
        reporter = Reporter()
        with logging_to_stderr(form, reporter):
            reporter(record(key="laptop"))
    text, line = capsys.readouterr().err.splitlines()

    assert text.endswith(" key laptop")
    assert "laptop" == json.loads(line)["key"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_long_values_are_cut(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Long names, notes and messages are truncated to keep lines short."""
    reporter = Reporter()
    with logging_to_stderr(form, reporter):
        reporter(record(model="m" * 100_000, effort="e" * 100_000, notes=["n" * 100_000]))
    assert len(capsys.readouterr().err) < 20_000
