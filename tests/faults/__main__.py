"""``python -m tests.faults`` prints the table of faults in Markdown.

The full table comes first, and then the table in docs/reliability.md, in which faults with the same
outcome share a row.
"""

from collections.abc import Iterator

from tests.faults.cells import TABLE
from tests.faults.table import Error, Row


def lines() -> Iterator[str]:
    """Yield the lines of the full table."""
    yield "| fault | request | OpenAI's APIs | Messages | an SDK may retry | calls to Copilot |"
    yield "|---" * 6 + "|"
    for row in TABLE:
        forms = [("whole", row.whole), ("stream", row.stream)]
        if row.whole == row.stream and row.forms == "both":
            forms = [("both", row.whole)]
        for form, error in forms:
            if row.forms in ("both", form):
                yield "| " + " | ".join([row.name, form, *_cells(error), calls(row)]) + " |"


def _cells(error: Error | None) -> list[str]:
    if error is None:
        return ["the answer", "the answer", ""]
    wait = f", Retry-After {error.wait}" if error.wait else ""
    when = "event: " if error.midway else f"{error.status} "
    code = f" `{error.code}`" if error.code else ""
    retry = "" if error.midway else "yes" if error.retry else "no"
    return [f"{when}`{error.type}`{code}{wait}", f"{when}`{error.anthropic}`{wait}", retry]


def calls(row: Row) -> str:
    """Return how many times the request reaches Copilot."""
    if row.calls == 2:
        return "two"
    if row.calls:
        return "one"
    sent = row.whole is not None and not row.whole.retry
    return "one, in part" if sent else "none; connects twice" if row.connects == 2 else "none"


def short() -> Iterator[str]:
    """Yield the short table: one row per outcome, and no fault twice."""
    yield "| fault | not streamed | streamed, if different | calls to Copilot |"
    yield "|---|---|---|---|"
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in TABLE:
        if "(simulator)" not in row.name:
            whole = _outcome(row, row.whole) if row.forms != "stream" else "-"
            stream = _outcome(row, row.stream) if row.forms != "whole" else "-"
            stream = "" if stream == whole else stream
            groups.setdefault((whole, stream, calls(row)), []).append(row.name)
    for outcome, names in groups.items():
        yield f"| {'; '.join(names)} | {' | '.join(outcome)} |"


def _outcome(row: Row, error: Error | None) -> str:
    if error is None:
        return "the answer"
    if error.midway:
        return f"what arrived, then `{error.code}`"
    wait = f", `Retry-After: {error.wait}`" if error.wait else ""
    retry = "" if error.retry else ", no retry"
    other = f" ({error.anthropic_status} on Messages)" if error.anthropic_status else ""
    status = f"{error.status} `{error.code or error.type}`"
    return f"{'unchanged' if status == row.name else status}{other}{wait}{retry}"


if __name__ == "__main__":
    print("\n".join([*lines(), "", *short()]))
