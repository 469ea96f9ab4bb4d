"""The dashboard's data over HTTP."""

import json
import re
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.budget.limits_file import Limits
from copilot_proxy.dashboard.hints import hint
from copilot_proxy.dashboard.overview import overview
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.dashboard.conftest import OWNER_KEY, events
from tests.dashboard.sample import fill
from tests.ledger.rows import record, row

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "confidential words"}]}


def test_the_page_is_for_browsers(server: Proxy) -> None:
    """A browser receives the page, and other clients still receive the text."""
    with server.client() as client:
        page = client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
        text = client.get("/")

    assert "<!doctype html>" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert text.text.startswith("copilot-proxy ")
    assert "text/plain" in text.headers["content-type"]


def test_files_load_nothing_from_other_hosts(server: Proxy) -> None:
    """Every file that the page loads is on this server, refers to no other host, and is small."""
    size, todo, seen = 0, ["/"], set()
    with server.client(headers={"accept": "text/html"}) as client:
        while todo:
            if (path := todo.pop()) in seen:
                continue
            seen.add(path)
            answer = client.get(path)
            assert 200 == answer.status_code, path
            size += len(answer.content)
            text = re.sub(r"^/\*! https://github.com/leeoniya/uPlot .*?\*/", "", answer.text)
            text = text.replace("http://www.w3.org/2000/svg", "")
            assert not re.findall(r"https?://[^\s\"'`]+", text), path
            found = re.findall(r'(?:href|src)="(/[^"]+)"|from "\./([\w.]+)"', text)
            todo += [link or f"/dashboard/{module}" for link, module in found]
            again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (304, b"") == (again.status_code, again.content)
    assert {"/dashboard/app.js", "/dashboard/uplot.js", "/dashboard/style.css"} <= seen
    assert size <= 120_000


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2Fdashboard.py", ".hidden.js", "app.py", "%2Fetc%2Fpasswd.txt", "x"]
)
def test_unknown_files(server: Proxy, name: str) -> None:
    """Only the page's own files are served."""
    with server.client() as client:
        assert 404 == client.get(f"/dashboard/{name}").status_code


def test_a_request_while_it_runs_and_after(server: Proxy, simulator: Simulator) -> None:
    """A page shows a running request, and later its row, without any of its text."""
    simulator.state.pace = 0.05
    long = [{"role": "user", "content": "Write 600 words, confidential"}]
    body = {**CHAT, "messages": long, "stream": True}
    with server.client() as page, server.client() as client, events(page) as stream:
        assert [] == stream.next("rows")
        assert [] == stream.next("running")
        with client.stream("POST", "/c/codex/v1/chat/completions", json=body) as answer:
            running = stream.next("running")
            simulator.state.pace = 0
            answer.read()
        row = stream.next("rows")[0]
        overview = stream.next("overview")
        detail = page.get("/dashboard/request", params={"id": row["request_id"]}).json()

    assert [("codex", "gpt-4o")] == [(one["client"], one["model"]) for one in running]
    assert running[0]["request_id"] == row["request_id"] == detail["request_id"]
    assert abs(running[0]["started_us"] - row["started_us"]) < 1_000_000
    assert 1 == overview["today"]["requests"]
    assert "codex" == next(one["name"] for one in overview["clients"] if one["last_seen"])
    assert "as reported by Copilot" == detail["cost_text"]
    assert "confidential" not in json.dumps([running, row, overview, detail])


def test_a_change_by_another_process(server: Proxy) -> None:
    """A page shows rows that other processes write to the ledger."""
    with server.client() as page, events(page) as stream:
        assert [] == stream.next("rows")
        fill(server.settings.ledger_file, days=1)
        rows = stream.next("rows")

    assert {"codex", "claude-code"} <= {one["client"] for one in rows}


def test_clients_of_thirty_days(server: Proxy) -> None:
    """The sums of clients are those of `usage --last 30d`, in which today is a day."""
    now = datetime.now().astimezone().replace(hour=12)
    with closing(open_for_writing(server.settings.ledger_file)) as database:
        for days, client in ((29, "codex"), (30, "aider")):
            ended = (now - timedelta(days=days)).timestamp()
            insert(database, [row(record(f"{days}", client=client), ended)])
        found = overview(database, Limits(), None, now, [])["clients"]

    assert ["codex"] == [one["name"] for one in found if one["last_seen"]]


def test_the_overview(locked: Proxy) -> None:
    """The overview has the quota, totals, sessions, losses, the budget and clients."""
    with locked.client(headers={"x-api-key": OWNER_KEY}) as page, events(page) as stream:
        assert stream.next("server")["needs_key"] is True
        overview = stream.next("overview")

    assert ("AI credits", 7000) == (overview["quota"]["unit"], overview["quota"]["entitlement"])
    assert 0 < overview["quota"]["left"] < 7000
    assert overview["month"]["nano_aiu"] > 0
    sessions = {one["client"]: one for one in overview["sessions"]}
    assert 4_200_000_000 == sessions["claude-code"]["warm_nano_aiu"]
    assert 0 < sessions["claude-code"]["cached_until"] - time.time() < 300
    assert sessions["codex"]["cached_until"] is None
    assert any("changed the list of tools" in one["what"] for one in overview["losses"])
    assert [1000 * 10**9] == [one["allowed"] for one in overview["budget"]]


@pytest.mark.parametrize(("span", "count"), [("day", 24), ("week", 7), ("month", 30)])
@pytest.mark.parametrize("by", ["client", "model", "key", "project"])
def test_spent_over_time(locked: Proxy, span: str, count: int, by: str) -> None:
    """The series have no gaps, and their sum matches the list of requests."""
    before = time.time()
    with locked.client(headers={"x-api-key": OWNER_KEY}) as client:
        found = client.get("/dashboard/spent", params={"span": span, "by": by}).json()

    starts = found["starts"]
    assert count == len(starts) == len(set(starts))
    assert starts == sorted(starts)
    assert starts[-1] <= time.time()
    assert before < starts[-1] + (3600 if span == "day" else 90_000)
    assert all(len(one["nano_aiu"]) == len(one["requests"]) == count for one in found["spent"])
    sums = [sum(one["nano_aiu"]) for one in found["spent"]]
    assert sums == sorted(sums, reverse=True)
    assert sums[0] > 0


@pytest.mark.parametrize("span", ["day", "week"])
def test_unknown_costs_over_time(server: Proxy, span: str) -> None:
    """Requests whose cost is unknown are counted separately from requests that cost nothing."""
    body = {"model": "text-embedding-3-small", "input": "words"}
    with server.client() as client, events(client) as stream:
        assert 200 == client.post("/v1/embeddings", json=body).status_code
        while not stream.next("rows"):
            pass
        found = client.get("/dashboard/spent", params={"span": span, "by": "model"}).json()

    (one,) = found["spent"]
    assert (0, 1, 1) == tuple(sum(one[name]) for name in ("nano_aiu", "requests", "unknown"))


def test_pages_of_requests(locked: Proxy) -> None:
    """Older requests are on later pages; filters apply."""
    with locked.client(headers={"x-api-key": OWNER_KEY}) as client:

        def ask(**query: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = client.get("/dashboard/requests", params=query).json()[
                "requests"
            ]
            return found

        first = ask()
        second = ask(before=str(first[-1]["id"]))
        codex = ask(client="codex")
        failed = ask(failed="1")

    assert 50 == len(first)
    assert first[-1]["id"] > second[0]["id"]
    assert {"codex"} == {one["client"] for one in codex}
    assert {"refused_upstream"} == {one["outcome"] for one in failed}


def test_an_error_has_its_hint(locked: Proxy) -> None:
    """A failed request is shown with a hint."""
    with locked.client(headers={"x-api-key": OWNER_KEY}) as client:
        failed = client.get("/dashboard/requests", params={"failed": "1"}).json()["requests"][0]
        one = client.get("/dashboard/request", params={"id": failed["request_id"]}).json()
        none = client.get("/dashboard/request", params={"id": "no-such-request"})

    assert "separate from the plan's quota" in one["hint"]
    assert (404, "request_not_found") == (none.status_code, none.json()["error"]["code"])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("budget_exceeded", 402, "refused_budget"), "copilot-proxy budget raise 100"),
        (("rate_limit_exceeded", 429, "refused_upstream"), "Wait a while; this limit is"),
        (("user_weekly_rate_limited", 429, "refused_upstream"), "weekly limit: wait a while."),
        (("invalid_value", 400, "refused_here"), "copilot-proxy rejected the request. The reason"),
        (("unknown_code", 400, "refused_upstream"), "Copilot rejected the request. The reason"),
        (("client_closed_request", 499, "client_left"), "The client closed the connection"),
        (("upstream_broken", 200, "broken"), "Try again."),
    ],
)
def test_hints_for_a_browser(case: tuple[str, int, str], expected: str) -> None:
    """A hint does not mention a header or a message that the page does not have."""
    text = hint(*case)

    assert expected in text
    assert "Retry-After" not in text
    assert "message names" not in text


@pytest.mark.parametrize(
    ("path", "param"),
    [("spent?span=year", "span"), ("spent?by=secret", "by"), ("requests?before=x", "before")],
)
def test_wrong_queries(server: Proxy, path: str, param: str) -> None:
    """The error names the invalid parameter."""
    with server.client() as client:
        answer = client.get(f"/dashboard/{path}")

    assert (400, param) == (answer.status_code, answer.json()["error"]["param"])


def test_without_a_ledger(simulator: Simulator) -> None:
    """The page says that the ledger is off, and still shows running requests."""
    with Proxy(settings_at(simulator)) as server, server.client() as page, events(page) as stream:
        state = stream.next("server")
        overview = stream.next("overview")
        spent = page.get("/dashboard/spent").json()

    assert state["ledger"] is False
    assert overview["today"] is None
    assert {"starts": [], "spent": []} == spent


def test_head(server: Proxy) -> None:
    """A HEAD request for the stream ends immediately."""
    with server.client() as client:
        assert 200 == client.head("/dashboard/events").status_code


def test_folders_of_dumps(simulator: Simulator, tmp_path: Path) -> None:
    """The page says where conversations are written, if dumps are on."""
    settings = settings_at(simulator, dump_dir=str(tmp_path / "dumps"))
    with Proxy(settings) as server, server.client() as page, events(page) as stream:
        assert str(tmp_path / "dumps") == stream.next("server")["dump_dir"]


@pytest.mark.parametrize("simulated", [False, True])
def test_recommended_commands(simulator: Simulator, simulated: bool) -> None:
    """The page's commands are for this server's profile, and for the simulator if it is used."""
    settings = replace(settings_at(simulator), profile="work")
    server = Proxy(settings, simulated=simulated)
    with server, server.client() as page, events(page) as stream:
        commands = stream.next("server")["commands"]

    flag = " --simulate" if simulated else ""
    assert {
        "budget": f"copilot-proxy --profile work budget set{flag} 500/day",
        "login": "copilot-proxy --profile work login",
        "run": "copilot-proxy --profile work run claude",
    } == commands


def test_a_ledger_that_is_being_created(server: Proxy) -> None:
    """A page opened before the file has tables shows rows that are written later."""
    path = server.settings.ledger_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with server.client() as page:
        before = page.get("/dashboard/requests").json()["requests"]
        fill(path, days=1)
        after = page.get("/dashboard/requests").json()["requests"]

    assert [] == before
    assert after


def test_a_damaged_ledger(server: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """The page shows why data is missing, and the log has the reason once."""
    path = server.settings.ledger_file
    fill(path, days=1)
    with server.client() as page:
        assert 200 == page.get("/dashboard/requests").status_code
        content = path.read_bytes()
        path.unlink()  # the connection would still have the old list cached
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        error = page.get("/dashboard/requests").json()["error"]

    assert "malformed" in error["message"]
    assert "copilot-proxy doctor --fix" in error["hint"]
    assert "Traceback" not in caplog.text


def test_a_profile(simulator: Simulator) -> None:
    """The page names the profile, and so do the commands that it offers."""
    settings = settings_at(simulator, ledger=True, profile="work")
    with Proxy(settings) as server, server.client() as page, events(page) as stream:
        assert "work" == stream.next("server")["profile"]
        commands = [one["command"] for one in stream.next("overview")["clients"]]

    assert "copilot-proxy --profile work run codex" in commands
