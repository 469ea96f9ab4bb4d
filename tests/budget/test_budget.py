"""The budget refuses requests over the limit in a way that stops every client."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.budget.budget import Budget
from copilot_proxy.budget.formatting import amount, limit_amount
from copilot_proxy.budget.limits_file import Limits, LimitsFile, change, path_for
from copilot_proxy.budget.refusals import BudgetExceeded
from copilot_proxy.cost.limits import Limit
from copilot_proxy.cost.nano_aiu import NANO
from copilot_proxy.formats.permanent_errors import looks_retryable
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.reservation_file import stored_reservations
from copilot_proxy.ledger.verification import verify
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import cli  # noqa: F401
from tests.conftest import Proxy, settings_at
from tests.ledger.rows import record, row

USER = [{"role": "user", "content": "Tell me a story"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/responses": {"input": "Tell me a story"},
    "/v1/messages": {"messages": USER, "max_tokens": 50},
}
MODEL = "claude-opus-5"


def ask(
    client: httpx.Client, path: str = "/v1/messages", *, stream: bool = False, headers: Any = None
) -> httpx.Response:
    body = {"model": MODEL, "stream": stream, **BODIES[path]}
    return client.post(path, json=body, headers=headers)


def settings_with(simulator: Simulator, *limits: str) -> Settings:
    return settings_at(simulator, ledger=True, budget=list(limits))


def amounts(settings: Settings) -> tuple[int, int]:
    """Return the amounts spent and reserved, after the server has stopped."""
    with closing(sqlite3.connect(settings.ledger_file)) as database:
        assert [] == verify(database).changes
        (spent,) = database.execute("SELECT ifnull(sum(nano_aiu), 0) FROM sums").fetchone()
    return spent, sum(one.nano_aiu for one in stored_reservations(settings.ledger_file))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_a_refusal(simulator: Simulator, path: str, stream: bool) -> None:
    """A refusal has a status that no client retries, and text that does not look like a failure."""
    with Proxy(settings_with(simulator, "0/day")) as proxy, proxy.client() as client:
        answer = ask(client, path, stream=stream)
        count = {"model": MODEL, "messages": USER}
        assert 200 == client.post("/v1/messages/count_tokens", json=count).status_code

    error = answer.json()["error"]
    assert (402 if path == "/v1/messages" else 400) == answer.status_code
    assert ("budget_exceeded", "billing_error") == (error["code"], error["type"])
    assert "false" == answer.headers["x-should-retry"]
    assert "retry-after" not in answer.headers
    assert "The budget resets at midnight." in answer.text
    assert "copilot-proxy budget raise " in answer.text
    assert not looks_retryable(answer.text)
    assert not [one for one in simulator.state.requests if one.path.endswith(path[3:])]


def test_many_at_once(simulator: Simulator) -> None:
    """Twenty parallel agents on two servers spend no more than the limit."""
    settings = settings_with(simulator, "1.5/day")
    with (
        Proxy(settings) as one,
        Proxy(settings) as other,
        one.client() as first,
        other.client() as second,
        ThreadPoolExecutor(20) as pool,
    ):
        answers = list(pool.map(ask, [first, second] * 30))

    statuses = [answer.status_code for answer in answers]
    spent, reserved = amounts(settings)
    assert {200, 402} == set(statuses)
    assert 0 < spent <= 1.5 * NANO
    assert 0 == reserved
    charged = [one.charged for one in simulator.state.requests if one.charged is not None]
    assert spent == sum(charged)
    assert statuses.count(200) == len(charged)


def test_a_limit_below_the_first_estimate(simulator: Simulator) -> None:
    """Until the length of a model's answers is known, a small limit still admits requests.

    The first request causes no notice, either, although the whole limit is reserved for it.
    """
    with Proxy(settings_with(simulator, "0.4/day")) as proxy, proxy.client() as client:
        body = {"model": MODEL, "messages": USER, "max_tokens": 900}
        first = client.post("/v1/messages", json=body)
        reserved = proxy.wait_for_record(1).reserved
        other = client.post("/v1/messages", json={**body, "model": "claude-sonnet-5"})
        second = client.post("/v1/messages", json=body)
        text = [{"role": "user", "content": "a " * 90_000}]
        long = client.post("/v1/messages", json={**body, "model": "gpt-5-mini", "messages": text})

    assert reserved == 0.4 * NANO
    assert [200, 200, 200, 402] == [one.status_code for one in (first, other, second, long)]
    assert "x-copilot-proxy-notes" not in first.headers
    assert "for an answer of about 900 tokens (a guess, since this model has" in long.text


def test_one_after_another(simulator: Simulator) -> None:
    """A request that has just ended counts at its actual cost, not at its higher estimate."""
    with Proxy(settings_with(simulator, "2.4/day")) as proxy, proxy.client() as client:
        statuses = []
        # A first request, whose row is written immediately; then one estimated at 2.3 AI credits.
        for number, model in enumerate(["gpt-5-mini", MODEL, MODEL], 1):
            body = {"model": model, "messages": USER, "max_tokens": 900}
            statuses.append(client.post("/v1/messages", json=body).status_code)
            proxy.wait_for_record(number)
    assert [200, 200, 200] == statuses


@pytest.mark.anyio
async def test_ended_requests_that_cost_more_than_expected(tmp_path: Path) -> None:
    """The actual cost of an ended request counts on every server, even before it has a row."""
    ledger = tmp_path / "ledger.sqlite3"
    servers = [Budget(ledger, [Limit(10 * NANO, "day")]) for _ in range(2)]
    first, second, third = record("1", credits=6.0), record("2", credits=6.0), record("3")
    for server, one in zip(servers, (first, second), strict=True):
        await server.admit(one, {"max_tokens": 1})
        server(one)
    with pytest.raises(BudgetExceeded, match=r"AI credits: 12\.00 AI credits spent\."):
        await servers[0].admit(third, {"max_tokens": 1})
    writer = Writer(ledger)
    writer.write([row(one, time.time()) for one in (first, second)])
    writer.close()
    with pytest.raises(BudgetExceeded, match=r"12\.00 AI credits spent\."):
        await servers[0].admit(third, {"max_tokens": 1})
    for server in servers:
        server.close()

    assert [] == stored_reservations(ledger)


@pytest.mark.anyio
async def test_ended_requests_that_cost_less_than_expected(tmp_path: Path) -> None:
    """Other servers soon see what a request cost, and can spend the rest of its estimate."""
    ledger = tmp_path / "ledger.sqlite3"
    servers = [Budget(ledger, [Limit(4 * NANO, "day")]) for _ in range(2)]
    first = record("first", credits=0.5)
    await servers[0].admit(first, {"max_tokens": 1000})
    assert (first.reserved or 0) > 2 * NANO
    servers[0](first)
    for _ in range(200):
        (seen,) = stored_reservations(ledger)
        if seen.nano_aiu == NANO // 2:
            break
        await asyncio.sleep(0.01)
    await servers[1].admit(record("second"), {"max_tokens": 1000})
    for server in servers:
        server.close()

    assert seen.has_ended


@pytest.mark.anyio
async def test_the_first_estimate_of_a_server(tmp_path: Path) -> None:
    """The server estimates the length of a model's answers from the ledger."""
    ledger = tmp_path / "ledger.sqlite3"
    answers = [record(str(number), tokens=(10, 0, 40)) for number in range(3)]
    broken = record("broken", tokens=(10, 0, 9000), error="server_error")
    writer = Writer(ledger)
    writer.write([row(one, time.time()) for one in (*answers, broken)])
    writer.close()
    budget = Budget(ledger, [Limit(10 * NANO, "day")])
    known, unknown = record("known"), record("unknown", model="claude-sonnet-5")
    for one in (known, unknown):
        await budget.admit(one, {"max_tokens": 5000})
    budget.close()

    assert known.reserved is not None
    assert unknown.reserved is not None
    assert 40 * 2_500_000 < known.reserved < 50 * 2_500_000
    assert unknown.reserved > 1000 * 1_000_000


@pytest.mark.anyio
async def test_answers_while_there_is_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server also learns from answers between the removal of a limit and the next limit."""
    monkeypatch.setattr("copilot_proxy.budget.applying_limits._CHECK_SECONDS", 0.0)
    ledger, now = tmp_path / "ledger.sqlite3", datetime.now(UTC)
    limit = Limit(NANO, "day")
    budget = Budget(ledger, [])
    change(path_for(ledger), now, lambda limits: limits.with_limit(limit))
    await budget.admit(record("limited", model="claude-sonnet-5"), {"max_tokens": 1})
    change(path_for(ledger), now, lambda _: Limits())
    unlimited = record("unlimited", tokens=(10, 0, 40))
    await budget.admit(unlimited, {"max_tokens": 5000})
    budget(unlimited)
    change(path_for(ledger), now, lambda limits: limits.with_limit(limit))
    last = record("last")
    await budget.admit(last, {"max_tokens": 5000})
    budget.close()

    assert last.reserved is not None
    assert 40 * 2_500_000 < last.reserved < 50 * 2_500_000


@pytest.mark.anyio
async def test_a_row_that_was_just_written_is_not_counted_twice(tmp_path: Path) -> None:
    """A request may briefly have both a row and a reservation, which must not cause refusals."""
    ledger = tmp_path / "ledger.sqlite3"
    servers = [Budget(ledger, [Limit(10 * NANO, "day")]) for _ in range(2)]
    first = record("first", credits=6.0)
    await servers[0].admit(first, {"max_tokens": 1})
    servers[0](first)
    with closing(open_for_writing(ledger)) as database:
        insert(database, [row(first, time.time())])
    await servers[1].admit(record("second"), {"max_tokens": 1})
    for server in servers:
        server.close()

    assert ["second"] == [one.request_id for one in stored_reservations(ledger)]


@pytest.mark.anyio
async def test_a_note_about_an_ended_request(tmp_path: Path) -> None:
    """A request that has just ended counts even without a row in the ledger.

    A request from another client does not count.
    """
    limits = [Limit(10 * NANO, "day"), Limit(9 * NANO, "day", "client", "codex")]
    budget = Budget(tmp_path / "ledger.sqlite3", limits)
    first, second, third = record("1", credits=8.5), record("2"), record("3", client="codex")
    for one in (first, second, third):
        await budget.admit(one, {"max_tokens": 1})
        if one is first:
            budget(one)
    budget.close()

    assert [] == first.notes
    assert ["budget: 8.50 of 10 AI credits"] == [note[:29] for note in second.notes]
    assert 1 == len(third.notes)


NOTIFIED = """
import json, os, sys
secret = [name for name in os.environ if name in ("COPILOT_PROXY_API_KEY", "COPILOT_PROXY_PORT")]
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([sys.argv[2:], secret]) + "\\n")
"""


def wait_for_notices() -> None:
    for thread in threading.enumerate():
        if thread.name == "notify":
            thread.join(60)


def test_notices(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs once for a nearly used limit and once for a refusal, despite two servers."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", "a-key-for-clients")
    monkeypatch.setenv("COPILOT_PROXY_PORT", "1234")
    (script := tmp_path / "notified.py").write_text(NOTIFIED)
    notify = [sys.executable, str(script), str(tmp_path / "said")]
    settings = settings_at(simulator, ledger=True, budget=["1/day"], notify=notify)
    with (
        Proxy(settings) as one,
        Proxy(settings) as other,
        one.client() as first,
        other.client() as second,
    ):
        headers = {"x-api-key": "a-key-for-clients"}
        answers = (ask(first, headers=headers) for _ in range(30))
        assert any("spent today" in one.headers.get("x-copilot-proxy-notes", "") for one in answers)
        for client in (second, first):
            assert any(ask(client, headers=headers).status_code == 402 for _ in range(30))
        wait_for_notices()

    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert [["COPILOT_PROXY_PORT"]] * 2 == [secret for _, secret in said]
    (used,), (refusal,) = sorted(arguments for arguments, _ in said)
    assert used.startswith("Budget: ")
    assert used.endswith(" of 1 AI credit spent today.")
    assert refusal.startswith("This request does not fit within today's budget of 1 AI credit: ")


def test_a_notice_about_a_session(simulator: Simulator, tmp_path: Path) -> None:
    """The notice names the session that has reached the limit; each session gets one notice."""
    (script := tmp_path / "notified.py").write_text(NOTIFIED)
    notify = [sys.executable, str(script), str(tmp_path / "said")]
    settings = settings_at(simulator, ledger=True, budget=["0/session"], notify=notify)
    body = {"model": MODEL, "messages": USER}
    with Proxy(settings) as proxy, proxy.client() as client:
        for session in ("s-1", "s-1", "s-2"):
            path = f"/c/codex/s/{session}/v1/chat/completions"
            assert 400 == client.post(path, json=body).status_code
        wait_for_notices()
    said = sorted(json.loads(line)[0][0] for line in (tmp_path / "said").read_text().splitlines())
    assert ["s-1 of codex.", "s-2 of codex."] == [text.rpartition(" session ")[2] for text in said]


def test_a_command_that_fails(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The failure is logged, and requests are answered as usual."""
    settings = settings_at(simulator, ledger=True, budget=["0/day"], notify=str(tmp_path / "none"))
    with Proxy(settings) as proxy, proxy.client() as client:
        assert [402, 402] == [ask(client).status_code for _ in range(2)]
        wait_for_notices()
    said = [one for one in caplog.messages if "notify command" in one]
    assert ["The notify command failed: No such file or directory."] == said


def test_raising_while_the_server_runs(
    simulator: Simulator,
    cli: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`budget` shows, sets, raises and removes limits, and the server applies them immediately."""
    # The commands run in this process, so the server might not check between two of them.
    monkeypatch.setattr("copilot_proxy.budget.applying_limits._CHECK_SECONDS", 0.0)
    settings = settings_with(simulator)
    with Proxy(settings) as proxy, proxy.client() as client:
        assert 200 == ask(client).status_code
        assert "0 AI credits per day: " in cli("budget", "set", "0/day").out
        assert 402 == ask(client).status_code
        raised = cli("budget", "raise", "100").out
        assert raised.startswith("100 AI credits per day (raised by 100): ")
        assert 200 == ask(client).status_code
        cli("budget", "set", "0/day", "--client", "codex")
        refused = ask(client, headers={"user-agent": "codex_exec/1"})
        assert 402 == refused.status_code
        command = re.search(r"copilot-proxy (budget raise \d+ --client codex)", refused.text)
        assert command is not None
        assert 0 == cli(*command[1].split()).code
        assert 200 == ask(client, headers={"user-agent": "codex_exec/1"}).status_code
        cli("budget", "set", "0/day", "--client", "codex")
        assert 402 == ask(client, headers={"user-agent": "codex_exec/1"}).status_code
        assert 200 == ask(client, headers={"user-agent": "opencode/1"}).status_code
        cli("budget", "off")
        assert 200 == ask(client, headers={"user-agent": "codex_exec/1"}).status_code


def test_limits_that_the_server_has_not_read(
    simulator: Simulator,
    cli: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If config.toml has changed since the start, `budget` says to restart the server."""
    settings = settings_with(simulator)
    with Proxy(settings) as proxy:
        monkeypatch.setenv("COPILOT_PROXY_PORT", proxy.url.rpartition(":")[2])
        settings.config_file.parent.mkdir(parents=True, exist_ok=True)
        settings.config_file.write_text('budget = ["5/day"]\n')
        os.utime(settings.config_file, (settings.read_at - 9,) * 2)
        assert "" == cli("budget").err
        os.utime(settings.config_file, (settings.read_at + 9,) * 2)
        ran = cli("budget")

    assert ran.out.startswith("5 AI credits per day: ")
    assert "Restart the server" in ran.err.replace("\n", " ")


def test_removing_limits(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Removing an unknown limit is an error, which says that limits in the settings remain."""
    cli("budget", "set", "5/day")
    ran = cli("budget", "off", "--client", "codex")
    assert (2, "There is no budget for the client codex, so nothing was removed.") == (
        ran.code,
        ran.err[7:].splitlines()[0],
    )
    monkeypatch.setenv("COPILOT_PROXY_BUDGET", "1/month")
    ran = cli("budget", "off")
    assert "The limits in COPILOT_PROXY_BUDGET still apply" in ran.err
    assert ["1 AI credit per month: 0.00 spent, 1.00 left"] == ran.out.splitlines()
    monkeypatch.delenv("COPILOT_PROXY_BUDGET")
    assert cli("budget").out.startswith("There is no budget.")


def test_limits_without_the_ledger(
    cli: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If the ledger is turned off later, the server and all views say that stored limits are not
    enforced, and the limits can still be removed."""
    cli("budget", "set", "0/day")
    settings = settings_at(simulator)
    limits_file_of(settings).write_bytes(limits_file_of(load_settings()).read_bytes())
    with Proxy(settings) as server, server.client() as client:
        assert 200 == ask(client).status_code
    assert 1 == caplog.text.count("The budget is not enforced: ")
    monkeypatch.setenv("COPILOT_PROXY_LEDGER", "false")
    ran = cli("budget")
    assert "No limit is enforced: COPILOT_PROXY_LEDGER turns off the ledger." in ran.err
    for words in ([], ["show"], ["--verify"], ["--why"]):
        ran = cli("usage", *words)
        assert "The ledger is off, as set in COPILOT_PROXY_LEDGER." in ran.err
    assert 2 == cli("budget", "set", "5/day").code
    assert 2 == cli("budget", "raise", "5").code
    ran = cli("budget", "off")
    assert (0, True) == (ran.code, ran.out.startswith("There is no budget."))


def limits_file_of(settings: Settings) -> Path:
    path = path_for(settings.ledger_file)
    path.parent.mkdir(exist_ok=True)
    return path


def test_the_limits_of_one_client(cli: Callable[..., Any]) -> None:  # noqa: F811
    """Without an action, `--client` selects the limits that are shown."""
    cli("budget", "set", "5/day")
    cli("budget", "set", "7/day", "--client", "claude")
    shown = cli("budget", "--client", "claude")
    assert ["7 AI credits per day for the client claude-code"] == [
        line.partition(":")[0] for line in shown.out.splitlines()
    ]
    assert 1 == len(json.loads(cli("budget", "--client", "claude", "--json").out)["limits"])
    assert (
        "There is no budget for the project my web. Set one with: "
        "copilot-proxy budget set 500/day --project 'my web'\n"
    ) == cli("budget", "--project", "my web").out


@pytest.mark.parametrize("flag", ["--key", "--client", "--project"])
def test_an_empty_name(cli: Callable[..., Any], flag: str) -> None:  # noqa: F811
    """An empty name, as from an unset variable, does not change the limit for all requests."""
    cli("budget", "set", "5/day")
    for words in (("set", "9/day"), ("raise", "9"), ("off",)):
        ran = cli("budget", *words, flag, "")
        assert (2, f"Error: The name after {flag} is empty.") == (ran.code, ran.err.splitlines()[0])
    assert "5 AI credits per day: " in cli("budget").out


def test_raising_no_limit(cli: Callable[..., Any]) -> None:  # noqa: F811
    """A raise without a limit to apply to is not added to a limit that is set later."""
    ran = cli("budget", "raise", "100")
    assert (2, "There is no budget, so nothing was raised.") == (
        ran.code,
        ran.err[7:].splitlines()[0],
    )
    cli("budget", "set", "5/day")
    ran = cli("budget", "raise", "100", "--client", "codex")
    assert "There is no budget for the client codex, so nothing was raised." in ran.err
    assert "copilot-proxy budget set 500/day --client codex" in ran.err

    cli("budget", "off")
    cli("budget", "set", "5/day", "--client", "codex")
    ran = cli("budget", "raise", "100")
    assert [
        "Error: There is no budget that covers all requests, so nothing was raised.",
        "To list the budgets, run: copilot-proxy budget",
    ] == ran.err.splitlines()[:2]
    cli("budget", "off")
    cli("budget", "set", "5/day")

    cli("budget", "raise", "100")
    cli("budget", "off")
    assert cli("budget", "set", "5/day").out.startswith("5 AI credits per day: ")


def test_raising_one_of_several_limits(cli: Callable[..., Any]) -> None:  # noqa: F811
    """With a period, only the limit for that period is raised, and it must exist."""
    cli("budget", "set", "5/day")
    cli("budget", "set", "9/session")
    day, session = cli("budget", "raise", "100/session").out.splitlines()
    assert day.startswith("5 AI credits per day: ")
    assert session.startswith("109 AI credits per session (raised by 100): ")
    assert (
        "There is no budget per month that covers all requests"
        in cli("budget", "raise", "1/month").err
    )
    assert "is not a limit: expected AI credits per day" in cli("budget", "raise", "1/week").err
    assert "must be greater than 0" in cli("budget", "raise", "0").err


def test_a_budget_of_nothing(cli: Callable[..., Any]) -> None:  # noqa: F811
    """`budget set` and `budget` say that a budget of 0 refuses requests, and how to remove it. A
    negative amount is not mistaken for an option."""
    advice = (
        "every request that costs anything is refused. Remove it with: copilot-proxy budget off"
    )
    for words in (["set", "0/day", "--client", "codex"], []):
        assert f"{advice} --client codex\n" in cli("budget", *words).err
    assert "refused" not in cli("budget", "set", "0.001/day", "--client", "codex").err
    for words in (["set", "-5/day"], ["raise", "-0.5"]):
        ran = cli("budget", *words)
        assert (2, True) == (ran.code, "Error: An amount must not be negative.\n" in ran.err)
    assert "No such option: -x" in cli("budget", "-x").err


def test_what_a_refusal_in_the_ledger_means(
    simulator: Simulator,
    cli: Callable[..., Any],  # noqa: F811
) -> None:
    """`usage show` and the dashboard say what a refusal by the budget means, and name the same
    command as the refusal did."""
    cli("budget", "set", "0/day", "--client", "codex")
    body = {"model": MODEL, **BODIES["/v1/messages"]}
    with Proxy(settings_with(simulator)) as proxy, proxy.client() as client:
        refused = client.post("/c/codex/v1/messages", json=body)
    request_id = refused.headers["x-request-id"]
    with Proxy(settings_with(simulator)) as proxy, proxy.client() as client:
        page = client.get("/dashboard/request", params={"id": request_id}).json()
    shown = cli("usage", "show", request_id)
    advice = "copilot-proxy budget raise 1 --client codex"
    assert f"To raise it, run: {advice}" == refused.json()["error"]["hint"]
    assert "Outcome       over budget, budget_exceeded, status 402\n" in shown.out
    assert "The budget did not allow this request" in shown.err
    assert shown.err.endswith(f"or raise it with: {advice}\n")
    assert page["hint"].endswith(f"or raise it with: {advice}")
    assert advice not in shown.out
    assert [] == page["notes"]


def test_a_new_limit_has_not_been_raised(cli: Callable[..., Any]) -> None:  # noqa: F811
    """Setting a limit again removes its raise; limits for other periods stay raised."""
    cli("budget", "set", "5/day")
    cli("budget", "set", "50/month")
    cli("budget", "set", "1/day", "--client", "codex")
    cli("budget", "raise", "100")
    cli("budget", "raise", "10", "--client", "codex")
    shown = cli("budget", "set", "7/day").out.splitlines()
    assert shown[0].startswith("150 AI credits per month (raised by 100): ")
    assert shown[1].startswith("11 AI credits per day for the client codex (raised by 10): ")
    assert shown[2].startswith("7 AI credits per day: ")
    assert "107 AI credits per day (raised by 100): " in cli("budget", "raise", "100").out


def test_the_simulators_limits(
    simulator: Simulator,
    cli: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A simulated server has its own budgets and amounts; limits in the settings also apply."""
    cli("budget", "set", "5/day")
    shown = cli("budget", "--simulate").out
    assert "There is no budget. Set one with: copilot-proxy budget set 500/day --simulate" in shown
    hint = cli("budget", "raise", "100", "--simulate").err.splitlines()[1]
    assert hint.endswith("copilot-proxy budget set --simulate 500/day")
    cli("budget", "set", "0.4/day", "--simulate")
    settings = replace(settings_with(simulator), simulated=True)
    with Proxy(settings) as proxy, proxy.client() as client:
        statuses = [ask(client).status_code for _ in range(12)]
        raised = client.post(
            "/dashboard/raise", json={"credits": "9"}, headers={"x-copilot-proxy-page": "1"}
        )
    assert (200, 402, 200) == (statuses[0], statuses[-1], raised.status_code)
    assert "5 AI credits per day: 0.00 spent, 5.00 left\n" == cli("budget").out
    shown = cli("budget", "--simulate").out
    assert shown.startswith("9.4 AI credits per day (raised by 9): ")
    assert "0.00 spent" not in shown
    monkeypatch.setenv("COPILOT_PROXY_BUDGET", "70/month")
    for flags in ([], ["--simulate"]):
        assert " AI credits per month" in cli("budget", *flags).out


def test_a_session(simulator: Simulator) -> None:
    """A session limit applies to each session, but not to requests without a session."""
    with Proxy(settings_with(simulator, "0.4/session")) as proxy, proxy.client() as client:

        def statuses(headers: Any = None) -> list[int]:
            return [ask(client, headers=headers).status_code for _ in range(12)]

        first, *_, last = statuses(headers={"session-id": "a"})
        assert (200, 402) == (first, last)
        assert 200 == ask(client, headers={"session-id": "b"}).status_code
        assert [200] * 12 == statuses()


def test_a_limit_that_is_nearly_used_up(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Once 80 percent of a limit is used, answers have a note, and the log has one line."""
    with Proxy(settings_with(simulator, "1/day")) as proxy, proxy.client() as client:
        answers = [ask(client) for _ in range(25)]

    notes = [answer.headers.get("x-copilot-proxy-notes", "") for answer in answers]
    assert "" == notes[0]
    assert any("of 1 AI credit spent today" in note for note in notes)
    assert 1 == caplog.text.count("of 1 AI credit spent today.")


def test_limits_have_no_needless_decimals() -> None:
    """A limit is shown as it was set, and costs always have two decimals."""
    assert ["1 AI credit", "0.125 AI credits", "1 234.5 AI credits"] == [
        limit_amount(round(credits * NANO)) for credits in (1, 0.125, 1234.5)
    ]
    assert ["1.00 AI credits", "1.01 AI credits"] == [
        amount(round(credits * NANO)) for credits in (1, 1.006)
    ]


ABANDONING = """
import asyncio, os, sys
from pathlib import Path
from copilot_proxy.budget.budget import Budget
from copilot_proxy.cost.limits import Limit
from tests.ledger.rows import record
async def main():
    budget = Budget(Path(sys.argv[1]), [Limit(10**9, "day")])
    request = record("killed", credits=0.9)
    await budget.admit(request, {"max_tokens": 200})
    if sys.argv[2] == "ended":
        budget(request)
        await asyncio.sleep(0.05)
    os._exit(9)
asyncio.run(main())
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("when", "cost"), [("running", 200 * 2_500_000 + 2 * 625_000), ("ended", 900_000_000)]
)
async def test_a_killed_server(tmp_path: Path, when: str, cost: int) -> None:
    """The requests of a killed server may have been billed, so they become estimated rows.

    If a request had ended, its row has the actual cost.
    """
    ledger = tmp_path / "ledger.sqlite3"
    command = [sys.executable, "-c", ABANDONING, str(ledger), when]
    await asyncio.to_thread(subprocess.run, command, check=False, timeout=60)
    budget = Budget(ledger, [Limit(10**9, "day")])
    with pytest.raises(BudgetExceeded):
        await budget.admit(record("next"), {"max_tokens": 390})
    budget.close()

    with closing(sqlite3.connect(ledger)) as database:
        assert [("killed", "broken", "estimated", cost)] == (
            database.execute(
                "SELECT request_id, outcome, cost_source, nano_aiu FROM requests"
            ).fetchall()
        )
        assert [] == stored_reservations(ledger)
        assert [] == verify(database).changes


@pytest.mark.anyio
async def test_a_ledger_that_cannot_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken ledger does not stop requests, and the log says that budgets are not enforced.

    They are enforced again when the ledger can be used."""
    (tmp_path / "file").touch()
    budget = Budget(tmp_path / "file" / "ledger.sqlite3", [Limit(0, "day")])
    await budget.admit(record("a"), {})
    await budget.admit(record("b"), {})  # logged once
    assert 1 == caplog.text.count("The budget is not enforced")

    assert budget._retry is not None
    await asyncio.wrap_future(budget._retry)
    (tmp_path / "file").unlink()
    await budget.admit(record("c"), {})  # does not wait for the next attempt
    await asyncio.wrap_future(budget._retry)
    await budget.admit(record("d"), {})
    budget.close()

    reserved = stored_reservations(tmp_path / "file" / "ledger.sqlite3")
    assert ["d"] == [one.request_id for one in reserved]
    assert 1 == caplog.text.count("The budget is enforced again.")


@pytest.mark.anyio
async def test_limits_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The limits that were last read remain in force; without any, requests are admitted."""
    path = tmp_path / "budget.json"
    path.write_text("nonsense")
    budget = Budget(tmp_path / "ledger.sqlite3", [])
    await budget.admit(record("a"), {})
    budget.close()
    assert "budget.json is damaged. No limit is in force." in caplog.text

    path.unlink()
    change(path, datetime.now(UTC), lambda limits: limits.with_limit(Limit(0, "day")))
    file = LimitsFile(path, [])
    assert [Limit(0, "day")] == list(file.current().limits)
    path.write_text("nonsense")
    assert [Limit(0, "day")] == list(file.current().limits)
    assert [Limit(0, "day")] == list(file.current().limits)
    assert 1 == caplog.text.count("The previous limits remain in force.")

    path.unlink()
    assert () == file.current().limits
    assert 1 == caplog.text.count("can be read again")


@pytest.mark.parametrize("stream", [False, True])
def test_answers_that_never_arrive(simulator: Simulator, stream: bool) -> None:
    """Copilot may have charged for a lost answer, so its expected cost counts toward the limit."""
    settings = settings_with(simulator, "0.3/day")
    simulator.state.faults.on("cut_before_headers")
    with Proxy(settings) as proxy, proxy.client() as client:
        statuses = []
        for number in range(1, 7):
            statuses.append(ask(client, stream=stream).status_code)
            proxy.wait_for_record(number)

    assert 502 == statuses[0]
    assert 402 == statuses[-1]
    spent, reserved = amounts(settings)
    assert 0.1 * NANO < spent <= 0.3 * NANO
    assert 0 == reserved


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_a_client_that_does_not_wait(simulator: Simulator, path: str, stream: bool) -> None:
    """Copilot may have charged for an answer that the client did not wait for."""
    settings = settings_with(simulator, "100/day")
    simulator.state.faults.on("stall_before_headers")
    with Proxy(settings) as proxy, proxy.client() as client:
        client.timeout = 0.5
        with pytest.raises(httpx.ReadTimeout):
            ask(client, path, stream=stream)
        proxy.wait_for_record()

    with closing(sqlite3.connect(settings.ledger_file)) as database:
        ((outcome, source, nano, reserved),) = database.execute(
            "SELECT outcome, cost_source, nano_aiu, reserved_nano_aiu FROM requests"
        )
    assert ("client_left", "estimated") == (outcome, source)
    assert reserved == nano > 0


@pytest.mark.parametrize("fault", ["server_error_500", "exchange_500"])
def test_failures_that_cost_nothing(simulator: Simulator, fault: str) -> None:
    """If Copilot or GitHub reports a failure, the request's expected cost does not count."""
    settings = settings_with(simulator, "6/day")
    simulator.state.faults.on(fault)
    with Proxy(settings) as proxy, proxy.client() as client:
        assert ask(client).status_code >= 500

    assert (0, 0) == amounts(settings)


def test_leaving_early_releases(simulator: Simulator) -> None:
    """A client that disconnects early leaves no reservation behind."""
    settings = settings_with(simulator, "100/day")
    simulator.state.faults.on("stall_mid_stream")
    with Proxy(settings) as proxy, proxy.client() as client:
        body = {"model": MODEL, "stream": True, **BODIES["/v1/messages"]}
        body["messages"] = [{"role": "user", "content": "Tell me a story of 100 words"}]
        body["max_tokens"] = 500
        with client.stream("POST", "/v1/messages", json=body) as answer:
            assert any(line.startswith("data:") for line in answer.iter_lines())
        proxy.wait_for_record()

    spent, reserved = amounts(settings)
    assert spent > 0
    assert 0 == reserved
