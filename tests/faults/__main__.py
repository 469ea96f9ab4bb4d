"""``python -m tests.faults`` prints the table of faults in Markdown: first whole, then as
docs/reliability.md shows it, with the faults that end alike in one row."""

from collections.abc import Iterator

from tests.faults.cells import TABLE
from tests.faults.table import Error, Row


def lines() -> Iterator[str]:
    """The whole table."""
    yield "| fault | request | OpenAI's APIs | Messages | an SDK repeats it | Copilot is asked |"
    yield "|---" * 6 + "|"
    for row in TABLE:
        forms = [("whole", row.whole), ("stream", row.stream)]
        if row.whole == row.stream and row.forms == "both":
            forms = [("both", row.whole)]
        for form, error in forms:
            if row.forms in ("both", form):
                yield "| " + " | ".join([row.name, form, *_cells(error), asked(row)]) + " |"


def _cells(error: Error | None) -> list[str]:
    if error is None:
        return ["the answer", "the answer", ""]
    wait = f", Retry-After {error.wait}" if error.wait else ""
    when = "midway: " if error.midway else f"{error.status} "
    code = f" `{error.code}`" if error.code else ""
    again = "" if error.midway else "as it likes" if error.again else "no"
    return [f"{when}`{error.type}`{code}{wait}", f"{when}`{error.anthropic}`{wait}", again]


def asked(row: Row) -> str:
    """How often the request reaches Copilot."""
    if row.asked == 2:
        return "twice"
    if row.asked:
        return "once"
    sent = row.whole is not None and not row.whole.again
    return "in part" if sent else "connects twice" if row.connects == 2 else "never"


def short() -> Iterator[str]:
    """The table with the faults that end alike in one row, without those made in two ways."""
    yield "| fault | not streamed | streamed | Copilot is asked |"
    yield "|---|---|---|---|"
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in TABLE:
        if "(simulator)" not in row.name:
            whole = _said(row.whole) if row.forms != "stream" else ""
            stream = _said(row.stream) if row.forms != "whole" else ""
            groups.setdefault((whole, stream, asked(row)), []).append(row.name)
    for outcome, names in groups.items():
        yield f"| {'; '.join(names)} | {' | '.join(outcome)} |"


def _said(error: Error | None) -> str:
    if error is None:
        return "the answer"
    if error.midway:
        return f"what came, then `{error.code}`"
    wait = f", `Retry-After: {error.wait}`" if error.wait else ""
    again = "" if error.again else ", not to be repeated"
    return f"{error.status} `{error.code or error.type}`{wait}{again}"


if __name__ == "__main__":
    print("\n".join([*lines(), "", *short()]))
