"""Formats a report of the ``usage`` command: tables, and one line."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from copilot_proxy.cli.budget import limit_line
from copilot_proxy.cli.console import counted, two_columns, wrapped
from copilot_proxy.cli.usage_data import as_csv, as_json
from copilot_proxy.cli.usage_report import Report
from copilot_proxy.cost.display import percent, quota_amount, reset_day, short_count
from copilot_proxy.cost.nano_aiu import grouped, rounded
from copilot_proxy.cost.quota import Quota, is_too_early
from copilot_proxy.ledger.cache_queries import NextTurn
from copilot_proxy.ledger.queries import UNKNOWN, Sums, total

_HEADINGS: Final = ("REQ", "FRESH", "CACHED", "WRITTEN", "OUT", "CREDITS", "CACHE", "LOST")
_TIMES: Final = ("day", "week", "month")
_MAX_ROWS: Final = 100
"""The maximum number of rows in a table, since there may be thousands of sessions. Tables of days,
weeks or months have no maximum."""
_BAR: Final = 10
_BAR_ENDS: Final = " ▏▎▍▌▋▊▉"


def lines(report: Report, *, is_bare: bool) -> Iterator[str]:
    """Yield the lines of a text report. With `is_bare`, they start with an overview."""
    if is_bare:
        rows = [("Today", _summary(report.today)), ("This month", _summary(report.month))]
        if report.quota is not None:
            rows.append(("Quota", quota_line(report.quota)))
            if report.quota.left is not None:
                rows.append(("Forecast", forecast(report)))
        rows += [("Budget", limit_line(one)) for one in report.limits]
        yield from two_columns(rows).splitlines()
        if report.rows:
            yield ""
    if report.rows:
        yield from _table(report)
    elif not is_bare:
        yield "No requests."
    if report.next_turns:
        yield ""
        yield from map(_next_turn, report.next_turns)


def remarks(report: Report) -> list[str]:
    """Return the remarks that explain the numbers."""
    found = []
    if (count := len(report.rows)) > len(_listed(report)):
        found.append(
            f"Only the {_MAX_ROWS} most expensive of {count:,} {report.group}s are listed; --csv "
            "and --json list all of them."
        )
    if (count := report.total.unknown_cost_requests) > 0:
        found.append(
            f"The credits do not include {counted(count, 'request')} with an unknown cost."
        )
    if (count := report.total.estimated_requests) > 0:
        found.append(
            f"The cost of {counted(count, 'request')} is estimated, because "
            f"{'its answer was' if count == 1 else 'their answers were'} incomplete."
        )
    others = report.of_callers
    if others is not None and others.requests and report.as_model is None:
        found.append(
            f"The totals include {counted(others.requests, 'request')} with the client's own "
            f"GitHub sign-in: {rounded(others.nano_aiu)} AI credits were charged to the client's "
            "account."
        )
    if report.as_model is not None:
        found.append(f"Credits are what the same tokens would cost with {report.as_model}.")
        if report.old_prices is not None:
            found.append(
                "Copilot's model list cannot be read, so the prices are those of "
                f"{report.old_prices}."
            )
    return found


def _next_turn(turn: NextTurn) -> str:
    session = cut(turn.session or "an unnamed session", 36)
    return wrapped(f"Next turn of {session} with {turn.model}: {next_cost(turn)}", "  ")


def next_cost(turn: NextTurn) -> str:
    """Describe the cost of a session's next turn: ``0.42 credits within 3:20, then 4.10``."""
    costs = [
        "?" if nano is None else rounded(nano) for nano in (turn.warm_nano_aiu, turn.cold_nano_aiu)
    ]
    if turn.seconds_left == 0 or costs[0] == costs[1]:
        return f"{costs[1]} credits"
    minutes, seconds = divmod(turn.seconds_left, 60)
    return f"{costs[0]} credits within {minutes}:{seconds:02}, then {costs[1]}"


def _table(report: Report) -> Iterator[str]:
    rows = _listed(report)
    if others := len(report.rows) - len(rows):
        listed, amounts = total(rows), report.total[1:]
        rest = Sums(counted(others, "other"), *map(int.__sub__, amounts, listed[1:]))
        rows = [*rows, rest]
    # The losses were charged at the prices of the actual model, not of `as_model`.
    has_losses = report.as_model is None and report.total.cache_lost_nano_aiu > 0
    cells = [_cells(row, has_losses) for row in (*rows, report.total)]
    headings = _HEADINGS[: len(cells[0])]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    has_bars = report.group in _TIMES and len(rows) > 1
    extra = sum(widths) + 2 * len(widths) + (2 + _BAR if has_bars else 0)
    screen = terminal_width()
    room = max(12, screen - extra) if screen else sys.maxsize
    name_of = _week if report.group == "week" else _name
    names = [report.group.upper(), *[name_of(row.name) for row in rows], "total"]
    width = min(room, max(map(len, names)))
    line = "".join([f"{{:<{width}}}", *[f"  {{:>{one}}}" for one in widths]]).format
    yield line(cut(names[0], width), *headings)
    maximum = max(row.nano_aiu for row in rows)
    for name, values, row in zip(names[1:-1], cells, rows, strict=False):
        text = line(name if len(name) <= width else cut(name, width), *values)
        yield f"{text}  {_bar(row.nano_aiu, maximum)}".rstrip() if has_bars else text
    if len(rows) > 1:
        yield line(cut(names[-1], width), *cells[-1])


def _listed(report: Report) -> list[Sums]:
    """Return the rows to show: at most `_MAX_ROWS`, or all if they are days, weeks or months."""
    return report.rows if report.group in _TIMES else report.rows[:_MAX_ROWS]


def _cells(row: Sums, has_losses: bool) -> tuple[str, ...]:
    read, nano = row.cache_read_tokens, row.known_nano_aiu
    prompt = row.input_tokens + read + row.cache_write_tokens
    cells = (
        f"{row.requests:,}",
        short_count(row.input_tokens),
        short_count(read),
        short_count(row.cache_write_tokens),
        short_count(row.output_tokens),
        "?" if nano is None else rounded(nano),
        percent(100 * read / prompt) if prompt else "-",
    )
    return (*cells, rounded(row.cache_lost_nano_aiu)) if has_losses else cells


def _bar(value: int, maximum: int) -> str:
    """Return a bar of at most `_BAR` characters."""
    eighths = round(8 * _BAR * value / maximum) if maximum > 0 else 0
    return ("█" * (eighths // 8) + _BAR_ENDS[eighths % 8]).rstrip()


def _name(name: str | None) -> str:
    return UNKNOWN if name is None else name


def _week(name: str | None) -> str:
    """Return the first and the last day of a week such as ``2026-W49``."""
    try:
        monday = datetime.strptime(f"{name}-1", "%G-W%V-%u").date()  # only the date matters
    except ValueError:
        return _name(name)
    return f"{monday} to {monday + timedelta(days=6):%m-%d}"


def cut(text: str, width: int) -> str:
    """Return `text` cut to `width` characters, ending with an ellipsis if it was longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def terminal_width() -> int | None:
    """Return the width of the terminal.

    Returns None if the output goes to a file or a program, for which names are not shortened.
    """
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _summary(row: Sums) -> str:
    known = row.known_nano_aiu
    cost = "an unknown cost" if known is None else f"{rounded(known)} AI credits"
    return f"{cost}, {counted(row.requests, 'request')}"


def quota_line(quota: Quota) -> str:
    """Describe the remaining quota."""
    if quota.left is None:
        return f"{quota.unit}: no individual limit"
    text = _left_of(quota, quota.left)
    if quota.overage:
        text += f"; {grouped(quota.overage)} used beyond the plan"
    if quota.resets_at is not None:
        text += f", resets on {reset_day(quota.resets_at)}"
    return text


def _left_of(quota: Quota, left: float) -> str:
    whole = f"{grouped(quota.entitlement)} {quota.unit}"
    return f"{quota_amount(left)} of {whole} left ({percent(quota.percent_left)})"


def forecast(report: Report) -> str:
    """Describe whether the quota will last until its reset."""
    end = report.runs_out_at
    if end is None and report.quota is not None and report.quota.resets_at is None:
        return "unknown: GitHub did not say when the quota resets"
    if end is None and report.quota is not None and is_too_early(report.quota, report.now):
        return "too early in the month"
    if end is None:
        return "lasts until the reset at this month's pace"
    if end <= report.now:
        return "used up"
    return f"runs out on {end.astimezone():%Y-%m-%d} at this month's pace"


def _as_line(report: Report) -> str:
    known = report.today.known_nano_aiu
    parts = ["? credits today" if known is None else f"{rounded(known)} credits today"]
    if report.quota is not None and report.quota.left is not None:
        parts.append(_left_of(report.quota, report.quota.left))
        if (end := report.runs_out_at) is not None:
            lasts = f"until {end.astimezone():%Y-%m-%d}"
            parts.append("used up" if end <= report.now else lasts)
    else:
        month = report.month.known_nano_aiu
        cost = "?" if month is None else rounded(month)
        parts.append(f"{cost} credits this month")
    if report.next_turns:
        parts.append(f"next turn {next_cost(report.next_turns[0])}")
    return " · ".join(parts)


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "json": as_json,
    "csv": as_csv,
    "line": _as_line,
}
