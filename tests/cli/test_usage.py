"""``usage``: the cost of requests as text, JSON, CSV and one line."""

import csv
import io
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.cli import console, usage_output, usage_request
from copilot_proxy.cost.quota import Quota
from copilot_proxy.ledger.database import opened_ledger
from copilot_proxy.ledger.schema import COLUMNS
from copilot_proxy.ledger.sign_ins import add_sign_in
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.settings import load_settings
from tests.cli.conftest import Cli
from tests.ledger.rows import record, row

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUOTA = Quota("AI credits", 1500, 60.0, 0, datetime(2026, 12, 1, tzinfo=UTC))
ROW = [
    "key", "requests", "nano_aiu", "credits", "input_tokens", "cache_read_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "unknown_cost_requests",
    "cache_lost_nano_aiu",
]  # fmt: skip

MISS_COLUMNS = ("cache_verdict", "cache_lost_nano_aiu", "cache_detail")


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the clock to noon on 20 November 2026, in a time zone five hours behind UTC."""
    monkeypatch.setenv("TZ", "XXX+5")
    time.tzset()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            moment = cls.fromtimestamp(NOON.timestamp(), UTC)
            return moment.astimezone(tz) if tz else moment.astimezone().replace(tzinfo=None)

    for name in ("usage", "usage_report", "usage_check", "usage_file"):
        monkeypatch.setattr(f"copilot_proxy.cli.{name}.datetime", Clock)
    yield
    monkeypatch.undo()
    time.tzset()


Program = Callable[..., subprocess.CompletedProcess[str]]


def at(days: float = 0, hours: float = 0) -> float:
    """Return a time before noon, in seconds since 1970."""
    return (NOON - timedelta(days=days, hours=hours)).timestamp()


@pytest.fixture
def ledger() -> Path:
    """A ledger with four requests from this month, two of them today, and one from last month."""
    path = load_settings().ledger_file
    writer = Writer(path)
    writer.write(
        [
            row(record("old", credits=7.0), at(days=30)),
            row(record("monday", credits=2.0, session="s1"), at(days=4)),
            row(record("early", credits=1.0, client="codex"), at(hours=6.5)),  # 00:30 local time
            row(record("late", credits=4.0, client=None), at(hours=7.5)),  # 23:30 the day before
            row(
                record(
                    "now", credits=None, model="mystery-1", tokens=(1200, 4_100_000, 5), quota=QUOTA
                ),
                at(),
            ),
        ]
    )
    writer.close()
    return path


def test_the_overview(cli: Cli, ledger: Path) -> None:
    """Without options, today (since local midnight), the month by model and the quota are shown."""
    ran = cli("usage")

    assert [
        "Today         1.00 AI credits, 2 requests",
        "This month    7.00 AI credits, 4 requests",
        "Quota         900.0 of 1,500 AI credits left (60%), resets on 2026-12-01",
        "Forecast      lasts until the reset at this month's pace",
        "",
        "MODEL          REQ  FRESH  CACHED  WRITTEN  OUT  CREDITS  CACHE",
        "claude-opus-5    3     30       0        0    6     7.00     0%",
        "mystery-1        1   1.2k    4.1M        0    5        ?   >99%",
        "total            4   1.2k    4.1M        0   11     7.00   >99%",
    ] == ran.out.splitlines()
    assert (0, "The credits do not include 1 request with an unknown cost.\n") == (
        ran.code,
        ran.err,
    )


def test_other_accounts(cli: Cli, ledger: Path) -> None:
    """The cost of clients with their own sign-in is mentioned, since other accounts paid for it."""
    writer = Writer(ledger)
    writer.write([row(record("own", credits=3.0, own_sign_in=True), at())])
    writer.close()
    ran = cli("usage")

    assert "This month    10.00 AI credits, 5 requests" in ran.out
    assert "1 request with the client's own GitHub sign-in: 3.00 AI credits" in ran.err
    assert "ledger 7.00," in cli("usage", "--verify").out


def test_another_period(cli: Cli, ledger: Path) -> None:
    """Requests from today and this month are not included."""
    shown = cli("usage", "--last", "4w").out
    assert shown.startswith("MODEL "), shown


def test_json(cli: Cli, ledger: Path) -> None:
    """JSON has the documented keys; an unknown cost is null, and months begin at midnight UTC."""
    found = json.loads(cli("usage", "client", "--json").out)

    assert ["group", "since", "until", "total", "rows", "quota", "budget"] == list(found)
    assert ROW == list(found["total"])
    assert "client" == found["group"]
    assert "2026-11-01T00:00:00+00:00" == found["since"]
    assert [(None, 4 * 10**9), ("claude-code", 2 * 10**9), ("codex", 10**9)] == [
        (one["key"], one["nano_aiu"]) for one in found["rows"]
    ]
    assert (7 * 10**9, 7.0, 1) == (
        found["total"]["nano_aiu"],
        found["total"]["credits"],
        found["total"]["unknown_cost_requests"],
    )
    assert (900.0, 60.0) == (found["quota"]["left"], found["quota"]["percent_left"])
    unknown = json.loads(cli("usage", "--json", "--model", "mystery-1").out)["total"]
    assert (None, None) == (unknown["nano_aiu"], unknown["credits"])


def test_many_sessions(cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The costliest sessions have a line each, and one line sums up the rest; CSV shows all."""
    writer = Writer(ledger)
    made = [record(f"m{n}", credits=10 + n, session=f"many-{n}") for n in range(102)]
    writer.write([row(one, at()) for one in made])
    writer.close()

    ran = cli("usage", "session")
    _, first, *_, last, others, total = ran.out.splitlines()[:103]
    assert ["many-101", "many-2", "4", "total"] == [
        line.split()[0] for line in (first, last, others, total)
    ]
    assert ["others", "6"] == others.split()[1:3]
    assert "Only the 100 most expensive of 104 sessions are listed; --csv" in ran.err
    assert 105 == len(cli("usage", "session", "--csv").out.splitlines())
    assert "Of 104" not in cli("usage", "client").err
    monkeypatch.setattr(usage_output, "_MAX_ROWS", 103)
    assert "\n1 other " in cli("usage", "session").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("day",), {"2026-11-16": 2, "2026-11-19": 4, "2026-11-20": 1}),
        (("week",), {"2026-W43": 7, "2026-W47": 7}),
        (("month",), {"2026-10": 7, "2026-11": 7}),
        (("session",), {"": 5, "s1": 2}),
        (("model", "--since", "today"), {"claude-opus-5": 1, "mystery-1": 0}),
        (("model", "--since", "yesterday", "--until", "yesterday"), {"claude-opus-5": 4}),
        (("client", "--last", "2d"), {"": 4, "codex": 1, "claude-code": 0}),
        (("client", "--last", "7h"), {"codex": 1, "claude-code": 0}),
        (("client", "--since", "2026-11-20T00:15"), {"codex": 1, "claude-code": 0}),
        (("day", "--client", "codex"), {"2026-11-20": 1}),
        (("client", "--last", "7h", "--client", "claude"), {"claude-code": 0}),  # as in `run`
        (("day", "--last", "4w"), {"2026-11-16": 2, "2026-11-19": 4, "2026-11-20": 1}),
        (("day", "--until", "2026-10-31"), {"2026-10-21": 7}),
    ],
)
def test_views_and_periods(
    cli: Cli, ledger: Path, arguments: tuple[str, ...], expected: dict[str, int]
) -> None:
    """Every view works with every kind of period; days end at local midnight."""
    ran = cli("usage", *arguments, "--csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))

    assert expected == {one["key"]: int(float(one["credits"] or 0)) for one in rows}


def test_weeks(cli: Cli, ledger: Path) -> None:
    """A week is shown with its first and last day."""
    lines = cli("usage", "week").out.splitlines()

    assert ["2026-10-19 to 10-25", "2026-11-16 to 11-22"] == [line[:19] for line in lines[1:3]]


@pytest.mark.parametrize("flag", ["--since", "--until"])
@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "9999-12-31T23:00", "2026-13-01"])
def test_impossible_dates(cli: Cli, flag: str, text: str) -> None:
    """An out-of-range date is a usage error, not an unexpected error."""
    ran = cli("usage", flag, text)
    assert (2, f"Error: {text!r} is not a date.") == (ran.code, ran.err.splitlines()[0])


def test_names_that_look_like_formulas(cli: Cli) -> None:
    """Names chosen by clients are not evaluated as formulas by spreadsheets."""
    writer = Writer(load_settings().ledger_file)
    names = ("=1+1", "-rf", "@x", "codex")
    writer.write([row(record(name, credits=1.0, client=name), at()) for name in names])
    writer.close()
    found = csv.DictReader(io.StringIO(cli("usage", "client", "--csv").out))

    assert {"'=1+1", "'-rf", "'@x", "codex"} == {one["key"] for one in found}


def test_bars(cli: Cli, ledger: Path) -> None:
    """Days have bars, and no line is wider than 80 columns."""
    lines = cli("usage", "day").out.splitlines()

    assert lines[2].endswith("0%  ██████████")
    assert lines[1].endswith("0%  █████")
    assert max(map(len, lines)) <= 80


def test_line_and_threshold(cli: Cli, ledger: Path) -> None:
    """The status bar gets one line; the exit code tells scripts when to stop."""
    ran = cli("usage", "--line")

    assert "1.00 credits today · 900.0 of 1,500 AI credits left (60%)\n" == ran.out
    assert [0, 1] == [cli("usage", "--line", "--threshold", n).code for n in ("900", "901")]


@pytest.mark.parametrize(
    ("left", "code", "text"),
    [(5.0, 1, "until 2026-11-21"), (0.0, 2, "used up")],
)
def test_running_out(cli: Cli, ledger: Path, left: float, code: int, text: str) -> None:
    """The forecast names the day when the quota runs out; if it is used up, the exit code is 2."""
    writer = Writer(ledger)
    writer.write([row(record("last", quota=QUOTA._replace(percent_left=left)), at())])
    writer.close()
    ran = cli("usage", "--line", "--threshold", "100")

    assert (code, True) == (ran.code, text in ran.out)


def test_a_forecast_on_the_first_day(cli: Cli, ledger: Path) -> None:
    """After less than a day, the pace is unknown."""
    quota = QUOTA._replace(percent_left=99.0, resets_at=datetime(2026, 12, 20, tzinfo=UTC))
    writer = Writer(ledger)
    writer.write([row(record("last", quota=quota), at())])
    writer.close()

    assert "Forecast      too early in the month\n" in cli("usage").out


def test_no_individual_quota_never_runs_out(cli: Cli, ledger: Path) -> None:
    """A seat without a quota of its own is not below any threshold."""
    writer = Writer(ledger)
    writer.write([row(record("last", quota=QUOTA._replace(entitlement=-1)), at())])
    writer.close()

    assert 0 == cli("usage", "--line", "--threshold", "100").code


def test_one_request(cli: Cli, ledger: Path) -> None:
    """`show` finds a request by the beginning of its id, and shows the source of its cost."""
    shown = cli("usage", "show", "mond").out

    assert "Request       monday\n" in shown
    assert "Cost          2 AI credits: as reported by Copilot\n" in shown
    assert "Tokens        10 fresh, 2 out\n" in shown
    assert 2 * 10**9 == json.loads(cli("usage", "show", "monday", "--json").out)["nano_aiu"]
    unknown = "unknown: Copilot did not report it, and the model's price or the tokens are unknown"
    assert unknown in cli("usage", "show", "now").out
    missing = cli("usage", "show", "zzz")
    assert (1, True) == (missing.code, "does not contain the request 'zzz'" in missing.err)


def test_a_refused_request(cli: Cli, own_home: Path) -> None:
    """A request that no model saw has no tokens, so their number is not called unknown."""
    refused = record("refused", credits=None, error="budget_exceeded", status=400)
    refused.usage, refused.attempts = None, 0
    writer = Writer(own_home / "ledger.sqlite3")
    writer.write([row(refused, at())])
    writer.close()
    shown = cli("usage", "show", "refused").out

    assert "Cost          0 AI credits: nothing was charged\n" in shown
    assert "Tokens" not in shown


def test_what_to_do_about_a_failed_request(cli: Cli, own_home: Path) -> None:
    """The details of a failed request are followed by a hint, those of another one by nothing."""
    failed = {"typo": ("model_not_found", 404), "limited": ("rate_limit_exceeded", 429)}
    writer = Writer(own_home / "ledger.sqlite3")
    for name, (error, status) in failed.items():
        writer.write([row(record(name, credits=None, error=error, status=status), at())])
    writer.write([row(record("good"), at())])
    writer.close()

    assert (
        "list the account's models, run: copilot-proxy models" in cli("usage", "show", "typo").err
    )
    assert "separate from the plan's quota" in cli("usage", "show", "limited").err
    assert "" == cli("usage", "show", "good").err


def test_a_model_that_does_not_exist(cli: Cli, own_home: Path) -> None:
    """A request for a misspelled model is counted for the client, but the costs by model do not
    list the name, unlike the list of requests."""
    typo = record("typo", credits=None, model="gpt-99", error="model_not_found", status=404)
    typo.usage, typo.attempts, typo.model_asked = None, 0, "gpt-99"
    writer = Writer(own_home / "ledger.sqlite3")
    writer.write([row(typo, at()), row(record("good"), at())])
    writer.close()
    models = [cli("usage", "model", *form).out for form in ((), ("--csv",), ("--json",))]

    assert not any("gpt-99" in shown for shown in models)
    assert "unknown" in models[0]
    assert {"claude-opus-5": 1, None: 1} == {
        one["key"]: one["requests"] for one in json.loads(models[2])["rows"]
    }
    assert 2 == json.loads(cli("usage", "client", "--json").out)["rows"][0]["requests"]
    (line,) = [one for one in cli("usage", "show").out.splitlines() if "gpt-99" in one]
    assert line.endswith("  not sent, model_not_found")
    assert "Model         unknown, requested as gpt-99\n" in cli("usage", "show", "typo").out


def test_recent_requests(cli: Cli, ledger: Path) -> None:
    """`show` without an id lists the latest requests, newest last."""
    lines = cli("usage", "show").out.splitlines()
    assert ["REQUEST", "ENDED", "CLIENT", "MODEL", "CREDITS", "OUTCOME"] == lines[0].split()
    assert ["old", "monday", "late", "early", "now"] == [line.split()[0] for line in lines[1:]]
    last = lines[-1].split()
    assert ["claude-code", "mystery-1", "?", "ok"] == last[-4:]
    assert ["early"] == [
        one["request_id"]
        for one in json.loads(cli("usage", "show", "--client", "codex", "--json").out)
    ]
    assert "No requests.\n" == cli("usage", "show", "--client", "nobody").out
    for options in (["--client", "unknown"], ["--client", "unknown", "--project", "unknown"]):
        (one,) = json.loads(cli("usage", "show", *options, "--json").out)
        assert "late" == one["request_id"]
        assert 1 == json.loads(cli("usage", *options, "--json").out)["total"]["requests"]


def test_recent_requests_with_long_names(
    cli: Cli, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long names are cut off on a terminal, where the list would not fit, but not in a pipe."""
    writer = Writer(own_home / "ledger.sqlite3")
    writer.write(
        [
            row(
                record(
                    "one-request",
                    client="c" * 64,
                    model="m" * 200,
                    credits=1.0,
                    upstream_status=429,
                    error="rate_limit_exceeded",
                ),
                at(),
            )
        ]
    )
    writer.close()
    for words in (("show",), ("client",)):
        assert "c" * 64 in cli("usage", *words).out
    monkeypatch.setattr(usage_output, "terminal_width", lambda: 80)
    monkeypatch.setattr(usage_request, "terminal_width", lambda: 80)
    for words in (("show",), ("client",), ("model",)):
        assert 80 >= max(map(len, cli("usage", *words).out.splitlines()))
    assert "  rate_li…\n" in cli("usage", "show").out
    monkeypatch.setattr(usage_request, "terminal_width", lambda: 100)
    assert "  rate_limit_exceeded\n" in cli("usage", "show").out
    monkeypatch.setattr(usage_request, "terminal_width", lambda: 160)
    wide = cli("usage", "show").out
    assert "c" * 64 in wide
    assert 160 == max(map(len, wide.splitlines()))
    assert "c" * 64 == json.loads(cli("usage", "show", "--json").out)[0]["client"]


@pytest.mark.parametrize(
    ("flag", "name", "shown"),
    [
        ("--model", "opus", "There are no requests with the model 'opus'. Try: claude-opus-5\n"),
        ("--client", "codexx", "There are no requests with the client 'codexx'. Try: codex\n"),
        ("--model", "claude-opus-5", ""),
        ("--key", "laptop", ""),
    ],
)
def test_a_name_that_is_not_in_the_ledger(
    cli: Cli, ledger: Path, flag: str, name: str, shown: str
) -> None:
    """A mistyped name is an error, not a name without requests."""
    assert shown == cli("usage", flag, name, "--since", "2026-11-17", "--until", "2026-11-18").err


def test_a_ledger_that_is_locked(cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked ledger can be read; a command that cannot change it says what to do."""
    monkeypatch.setattr("copilot_proxy.ledger.database.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        read = cli("usage")
        changed = cli("usage", "forget", "--before", "2026-11-01")

    assert (0, 1) == (read.code, changed.code), read.err
    assert "Another program is using it. Try again." in changed.err


def test_tiny_amounts(cli: Cli, own_home: Path) -> None:
    """A nonzero amount is never shown as zero."""
    writer = Writer(own_home / "ledger.sqlite3")
    # For `usage`, and for `budget`, whose clock is the real one
    writer.write([row(record(f"at-{when}", credits=0.002), when) for when in (at(), time.time())])
    writer.close()
    assert "<0.01 AI credits, " in cli("usage").out
    assert "<0.01 credits this month" in cli("usage", "--line").out
    assert " <0.01 " in cli("usage", "show").out
    assert "<0.01 spent" in cli("budget", "set", "5/day").out


def test_another_model(cli: Cli, ledger: Path) -> None:
    """`--as` prices the same tokens for another model, even without a sign-in."""
    ran = cli("usage", "--as", "claude-opus-5", "--json")
    expected = 30 * 500_000 + 6 * 2_500_000 + 1200 * 500_000 + 4_100_000 * 50_000 + 5 * 2_500_000

    assert expected == json.loads(ran.out)["total"]["nano_aiu"]


def test_the_same_model(cli: Cli, own_home: Path) -> None:
    """`--as` with the model that was used returns what was charged, including cache writes. A
    request whose tokens are unknown does not count as free."""
    written = record("written", credits=None, tokens=(500, 4000, 30))
    assert written.usage is not None
    written.usage["prompt_tokens_details"] |= {"cache_creation_input_tokens": 300}
    odd = record("odd", credits=None, error="server_error", upstream_status=500)
    odd.usage = None
    writer = Writer(own_home / "ledger.sqlite3")
    writer.write([row(one, at()) for one in (written, odd)])
    writer.close()
    for view in ("day", "week", "model"):
        charged, same = (
            json.loads(cli("usage", view, "--json", *more).out)["total"]
            for more in ((), ("--as", "claude-opus-5"))
        )
        assert charged["nano_aiu"] == same["nano_aiu"] > 0
        assert 1 == charged["unknown_cost_requests"] == same["unknown_cost_requests"]


def test_verify(cli: Cli, ledger: Path) -> None:
    """An intact ledger is compared with GitHub's quota."""
    ran = cli("usage", "--verify")

    assert 0 == ran.code
    assert "This month: ledger 7.00, GitHub 600.00, other clients 593.00 AI credits." in ran.out


def test_verify_on_a_terminal(cli: Cli, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines are wrapped between words."""
    monkeypatch.setattr(console, "terminal_width", lambda stream=None: 60)
    ran = cli("usage", "--verify")

    assert "other clients 593.00\nAI credits." in ran.out
    assert all(len(line) <= 60 for line in ran.out.splitlines())


def test_verify_with_inexact_costs(cli: Cli, own_home: Path) -> None:
    """Estimates and unknown costs are mentioned, as is a total that exceeds GitHub's."""
    quota = QUOTA._replace(percent_left=99.9)
    left = record("left", credits=None, client_gone=True, quota=quota)
    left.usage, left.stream = None, True
    made = [record("billed", credits=9.004), record("odd", credits=None, model="mystery-1"), left]
    writer = Writer(own_home / "ledger.sqlite3")
    writer.write([row(one, at()) for one in made])
    writer.close()
    ran = cli("usage", "--verify")

    assert 0 == ran.code
    assert "GitHub 1.50, other clients 0.00 AI credits." in ran.out
    assert "The ledger counts 7.5" in ran.out
    assert (
        "because of 1 request with an estimated cost and 1 request with an unknown cost." in ran.out
    )


def test_verify_with_several_accounts(cli: Cli, ledger: Path) -> None:
    """If the ledger has requests from several accounts, a remark says that GitHub's quota is only
    for one. An account without requests is not mentioned."""
    with opened_ledger(ledger, write=True) as database:
        add_sign_in(database, "mona", round(at(days=5) * 1e6))
        assert "several accounts" not in cli("usage", "--verify").out
        add_sign_in(database, "idle", round(at(hours=7.4) * 1e6))
        add_sign_in(database, "hubot", round(at(hours=7) * 1e6))
    ran = cli("usage", "--verify")

    assert 0 == ran.code
    assert "requests are from several accounts (mona, hubot), but GitHub's number" in ran.out
    found = json.loads(cli("usage", "--verify", "--json").out)
    assert ["mona", "hubot"] == found["month"]["accounts"]


def test_verify_with_another_unit(cli: Cli, own_home: Path) -> None:
    """GitHub's number of premium requests is known, but is not compared with credits."""
    writer = Writer(own_home / "ledger.sqlite3")
    quota = QUOTA._replace(unit="premium requests")
    writer.write([row(record("one", credits=2.0, quota=quota), at())])
    writer.close()
    out = cli("usage", "--verify").out

    assert out.startswith("1 row checked.\n")
    assert (
        "This month: ledger 2.00 AI credits. GitHub counts premium requests instead, which cannot "
        "be compared.\n"
    ) in out


def test_backup_and_forget(cli: Cli, ledger: Path, tmp_path: Path) -> None:
    """A backup is private and complete; whole days can be removed, and the rest stays intact."""
    copy = tmp_path / "copy.sqlite3"
    assert 0 == cli("usage", "backup", str(copy)).code
    assert 1 == cli("usage", "backup", str(copy)).code
    assert 0o600 == copy.stat().st_mode & 0o777
    assert str(ledger) == cli("usage", "path").out.strip()

    forgotten = cli("usage", "forget", "--before", "2026-11-01").err
    assert "Removed 1 row from before 2026-11-01.\n" == forgotten
    forgotten = cli("usage", "forget", "--before", "2026-11-19").err
    assert "Removed 1 row from before 2026-11-19.\nSome rows were from this month" in forgotten
    assert 0 == cli("usage", "--verify").code
    assert cli("usage", "--verify").out.startswith("3 rows checked")


def test_without_a_ledger(cli: Cli) -> None:
    """An empty ledger is not an error, and no file is created."""
    ran = cli("usage")

    assert (0, True) == (ran.code, ran.out.startswith("Today         0.00 AI credits, 0 requests"))
    assert 0 == json.loads(cli("usage", "day", "--json").out)["total"]["nano_aiu"]
    assert not load_settings().ledger_file.exists()


@pytest.mark.parametrize(
    "change",
    [
        "nano_aiu = NULL",
        "details_json = '[1, 2]'",
        'details_json = \'{"token_details": [{"token_count": "x"}, 7]}\'',
        "notes_json = '{bad'",
        "quota_resets_at = 'never', quota_entitlement = -1",
        "ended_us = 9000000000000000000",
        "started_us = -9000000000000000000",
    ],
)
def test_rows_that_were_tampered_with(cli: Cli, ledger: Path, change: str) -> None:
    """`usage --verify` reports impossible values, and no view ends with an internal error."""
    with closing(sqlite3.connect(ledger)) as database:
        database.execute(f"UPDATE requests SET {change}, cost_source = 'reported'")  # noqa: S608
        database.commit()
    ran = cli("usage", "--verify")
    assert (1, True) == (ran.code, "was changed, removed or added" in ran.out.replace("\n", " "))
    for words in ([], ["day"], ["session"], ["--line"], ["--json"], ["--why"]):
        assert 0 == cli("usage", *words).code
    for words in (["show"], ["show", "now"]):
        for flag in ([], ["--json"]):
            assert 0 == cli("usage", *words, *flag).code


@pytest.mark.parametrize(
    ("intact", "reason"),
    [(0, "file is not a database"), (4096, "database disk image is malformed")],
)
def test_a_damaged_ledger(cli: Cli, ledger: Path, intact: int, reason: str) -> None:
    """There is no traceback; the error says what happens next, even if only totals are damaged."""
    content = ledger.read_bytes()
    ledger.write_bytes(content[:intact] + b"\xff" * (len(content) - intact))
    ran = cli("usage")

    assert (1, True) == (ran.code, f"cannot be read: {reason}." in ran.err)
    assert "copilot-proxy doctor --fix" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("backup",),
        ("path", "x"),
        ("forget",),
        ("forget", "--before", "soon"),
        ("forget", "--before", "2999-01-01"),
        ("--before", "2026-01-01"),
        ("--last", "7 days"),
        ("--since", "then"),
        ("--last", "7d", "--since", "today"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Invalid arguments are an error with exit code 2."""
    assert 2 == cli("usage", *arguments).code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "--csv"), "--csv has no effect with: copilot-proxy usage show"),
        (("show", "early", "--last", "1d"), "--last has no effect"),
        (("path", "--json"), "--json has no effect with: copilot-proxy usage path"),
        (("--json", "--csv"), "--json cannot be combined with --csv"),
        (("--line", "--json"), "--json cannot be combined with --line"),
        (("--line", "--as", "haiku"), "--as cannot be combined with --line"),
        (("--verify", "--client", "codex"), "--client cannot be combined with --verify"),
        (("--why", "--threshold", "5"), "--threshold cannot be combined with --why"),
        (("--threshold", "nan"), "must not be negative"),
        (("--threshold", "-1"), "must not be negative"),
        (("--since", "today", "--until", "yesterday"), "--until is before --since"),
        (("forget", "--before", "2026-11-29T10:00"), "is not a day"),
    ],
    ids=str,
)
def test_options_without_effect(
    cli: Cli, ledger: Path, arguments: tuple[str, ...], message: str
) -> None:
    """An option without effect is refused, so that no script relies on it."""
    ran = cli("usage", *arguments)
    assert (2, "") == (ran.code, ran.out)
    assert message in " ".join(ran.err.split())


def test_chat_is_recorded(cli: Cli) -> None:
    """Requests from the terminal are in the ledger; requests to the simulator are kept separate."""
    assert 0 == cli("chat", "--simulate", "Hello", terminal=True).code
    found = json.loads(cli("usage", "client", "--simulate", "--json", "--since", "2026-01-01").out)

    assert ["copilot-proxy chat"] == [one["key"] for one in found["rows"]]
    assert found["total"]["nano_aiu"] > 0
    assert 0 == json.loads(cli("usage", "--json").out)["total"]["requests"]


@pytest.fixture
def missed() -> Path:
    """A ledger with cache misses of several kinds, and three sessions whose prompt is cached."""
    path = load_settings().ledger_file
    writer = Writer(path)
    rows = []
    for number, (client, found) in enumerate(
        [
            ("claude-code", ("ttl_expiry", 12_900_000_000, "720 300")),
            ("claude-code", ("ttl_expiry", 100_000_000, "400 300")),
            ("opencode", ("prefix_change", 5_000_000_000, "tool 14 lsp")),
            ("opencode", ("prefix_change", None, "tool 14 lsp")),
            ("opencode", ("prefix_change", 100_000_000, "message 3")),
            ("opencode", ("prefix_change", 200_000_000, "message 6")),
            (None, ("model_switch", 50_000_000, "claude-opus-5")),
            ("codex", ("cold", 0, None)),
            ("claude-agent", ("ttl_expiry", 10_000_000, "4500 3600")),
        ]
    ):
        made = row(record(f"r{number}", client=client), at(hours=number))
        verdict = dict(zip(MISS_COLUMNS, found, strict=True))
        rows.append(tuple({**dict(zip(COLUMNS, made, strict=True)), **verdict}.values()))
    writer.write(rows)
    for session, minutes, ttl in (("s-1", 2, 300), ("#unnamed", 9, 300), ("old", 90, 300)):
        remember(writer, session, at(hours=minutes / 60), ttl)
    writer.close()
    return path


def remember(writer: Writer, session: str, used: float, ttl: int) -> None:
    prompt = (session, b"", "claude-opus-5", round(used * 1e6), 0, 1000, 900, None, ttl, 0, 0)
    statement = "INSERT INTO prompts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    costs = (420_000_000, 4_100_000_000)
    writer.attempt(lambda database: database.execute(statement, (*prompt, *costs, b"")))


def test_why(cli: Cli, missed: Path) -> None:
    """Each client and reason gets a sentence with advice, most expensive first."""
    assert [
        "8 requests lost 18.36 AI credits by not reading from the prompt cache:",
        "",
        "13.00  claude-code: 2 requests came after a pause longer than the 5 minutes for",
        "       which prompts stay in the cache; the longest was 12 minutes. Continue",
        "       sooner, or compact the conversation before a long pause.",
        "",
        " 5.00  opencode: 2 requests changed the list of tools, first at tool 14 (lsp).",
        "       Connect all MCP servers before the first message and do not change the",
        "       tools during a session.",
        "",
        " 0.30  opencode: 2 requests changed or removed earlier messages. Clients do this",
    ] == cli("usage", "--why").out.splitlines()[:11]
    assert "unknown client: 1 request switched from " in cli("usage", "--why").out
    found = json.loads(cli("usage", "--why", "--json", "--client", "opencode").out)
    assert 5_300_000_000 == found["cache_lost_nano_aiu"]
    assert [("prefix_change", "tool 14 lsp", 2, 1), ("prefix_change", "message", 2, 0)] == [
        (one["reason"], one["detail"], one["requests"], one["unknown_cost_requests"])
        for one in found["losses"]
    ]
    hour = "claude-agent: 1 request came after a pause longer than the hour for which prompts"
    assert hour in " ".join(cli("usage", "--why").out.split())
    (loss,) = json.loads(cli("usage", "--why", "--json", "--client", "claude-agent").out)["losses"]
    assert ("4500", 3600) == (loss["detail"], loss["cache_seconds"])
    nothing = cli("usage", "--why", "--last", "1h", "--client", "codex")
    assert "No request missed the prompt cache.\n" == nothing.out
    assert "CACHE   LOST" in cli("usage", "client").out
    assert "ttl expiry (720 s), lost 12.9 AI credits" in cli("usage", "show", "r0").out


def test_the_next_turn(cli: Cli, missed: Path) -> None:
    """The cost of the next turn is shown, both within the cache's lifetime and after it."""
    assert cli("usage", "--line").out.endswith(" · next turn 0.42 credits within 3:00, then 4.10\n")
    assert [
        "Next turn of s-1 with claude-opus-5: 0.42 credits within 3:00, then 4.10",
        "Next turn of an unnamed session with claude-opus-5: 4.10 credits",
    ] == cli("usage", "session").out.splitlines()[-2:]
    turns = json.loads(cli("usage", "session", "--json").out)["next_turns"]
    assert [("s-1", 180), (None, 0)] == [(one["session"], one["seconds_left"]) for one in turns]
    assert {(300, "default")} == {
        (one["cache_seconds"], one["cache_seconds_source"]) for one in turns
    }


def test_the_next_turn_of_one_client(cli: Cli, missed: Path) -> None:
    """A status bar for one client or model does not show the next turn of another."""
    writer = Writer(missed)
    writer.write([row(record("own", client="codex", session="s-1"), at())])
    writer.close()

    def turns(*options: str) -> list[str | None]:
        found = json.loads(cli("usage", "session", "--json", *options).out)["next_turns"]
        return [one["session"] for one in found]

    assert "next turn" in cli("usage", "--line", "--client", "codex").out
    assert "next turn" not in cli("usage", "--line", "--client", "opencode").out
    assert ["s-1"] == turns("--client", "codex")
    assert ["s-1", None] == turns("--model", "claude-opus-5")
    assert [] == turns("--model", "gpt-6")


def test_the_cache_lifetime_is_learned(cli: Cli, missed: Path) -> None:
    """A cache hit after a longer pause counts, unless a shorter pause caused a miss."""
    writer = Writer(missed)

    def write(session: str, *turns: tuple[float, int], gone: bool = False) -> None:
        for number, (minutes, read) in enumerate(turns):
            made = record(f"{session}-{number}", session=session, tokens=(5000 - read, read, 1))
            values = dict(zip(COLUMNS, row(made, at(hours=minutes / 60)), strict=True))
            if gone and number:
                values |= dict(zip(MISS_COLUMNS, ("ttl_expiry", 1, "720"), strict=True))
            writer.write([tuple(values.values())])

    def learned() -> list[tuple[int, str]]:
        turns = json.loads(cli("usage", "session", "--json").out)["next_turns"]
        return [(one["cache_seconds"], one["cache_seconds_source"]) for one in turns]

    write("only-the-tools", (200, 0), (150, 2000))
    assert [(300, "default")] * 2 == learned()
    write("read", (100, 0), (91, 4900), (66, 4900))
    assert [(1500, "observed")] * 2 == learned()
    assert cli("usage", "--line").out.endswith(
        " · next turn 0.42 credits within 23:00, then 4.10\n"
    )
    write("gone", (60, 0), (48, 0), gone=True)
    assert [(540, "observed")] * 2 == learned()
    writer.close()


def test_losses_are_not_those_of_another_model(cli: Cli, missed: Path) -> None:
    """Losses are counted at the prices of the model that was used."""
    assert "LOST" in cli("usage", "model").out
    assert "LOST" not in cli("usage", "--as", "claude-opus-5").out


def test_another_model_of_the_simulator(cli: Cli) -> None:
    """With `--simulate`, the prices come from the simulator's models."""
    assert 0 == cli("chat", "--simulate", "Hello", terminal=True).code
    ran = cli("usage", "--as", "gpt-mini", "--simulate", "--since", "2026-01-01")

    assert 0 == ran.code, ran.err
    assert "Credits are what the same tokens would cost with gpt-6-luna" in ran.err


def test_without_a_sign_in_nothing_is_recorded(cli: Cli, program: Program) -> None:
    """A question that could not be sent is not in the ledger."""
    assert 3 == program("chat", "Hi").returncode
    assert 0 == json.loads(cli("usage", "--json").out)["total"]["requests"]
