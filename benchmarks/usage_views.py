"""`python -m benchmarks.usage_views [ROWS]`: time the views of `usage` on a large ledger.

The ledger holds a year of requests: 40 per session, eight sessions at a time, from eight clients
and three keys, in twelve projects, for twelve models. One in twenty requests has a long prompt, one
in twenty missed the cache, and one in 200 failed; one in ten sessions writes to the cache for an
hour. Prints a Markdown table; a command's time is the best of five runs, from start to exit.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.installed import own_build
from benchmarks.processes import TARGET_CORE, pinned

_BATCH: Final = 5_000
_YEAR: Final = 365 * 86_400
_TRIES: Final = 5
VIEWS: Final = (
    "", "day", "week", "month", "session", "client", "model", "key", "project", "--line", "--json",
    "--last 7d", "--last 12h", "--last 4000h", "--why", "--why --since 2020-01-01",
    "--as claude-opus-5", "--as claude-opus-5 --since 2020-01-01", "client --since 2020-01-01",
    "session --since 2020-01-01", "session --json --since 2020-01-01", "show", "show --client none",
)  # fmt: skip


def _rows(count: int, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    now = time.time()
    failed = {
        **dict.fromkeys(name for name in columns if name.endswith("_tokens")),
        "nano_aiu": None,
        "cost_source": "unknown",
        "status": 502,
        "outcome": "broken",
    }
    for number in range(count):
        ended = now - _YEAR * (1 - number / count)
        session = number // 320 * 8 + number % 8
        turn = number // 8 % 40
        is_long, has_failed = turn >= 38, number % 199 == 0
        missed = {7: "ttl_expiry", 23: "prefix_change"}.get(turn)
        values: dict[str, Any] = {
            "request_id": f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012}",
            "day": time.strftime("%Y-%m-%d", time.localtime(ended)),
            "month": time.strftime("%Y-%m", time.gmtime(ended)),
            "started_us": int(ended * 1e6) - 900_000,
            "ended_us": int(ended * 1e6),
            "first_token_ms": 700,
            "key": (None, "work", "home", "cron")[session % 4],
            "client": f"client-{session % 8}",
            "project": f"octo/project-{session % 12}",
            "session": f"{session:08}-1111-4111-8111-111111111111",
            "api": "messages",
            "route": "messages",
            "stream": 1,
            "initiator": "agent",
            "attempts": 1,
            "model_asked": f"model-{session % 12}",
            "model": f"model-{session % 12}",
            "input_tokens": 900,
            "cache_read_tokens": 250_000 if is_long else 60_000,
            "cache_write_tokens": 1_100,
            "cache_write_1h_tokens": 500 if session % 10 == 0 else 0,
            "output_tokens": 400,
            "reasoning_tokens": 0,
            "images": 0,
            "nano_aiu": 112_500_000 + number,
            "cost_source": "reported",
            "cache_verdict": ("ttl_expiry" if turn == 7 else "prefix_change") if missed else None,
            "cache_detail": ("900" if turn == 7 else f"tool {session % 40} lsp")
            if missed
            else None,
            "cache_lost_nano_aiu": 50_000_000 if missed else None,
            "status": 200,
            "outcome": "ok",
            "quota_unit": "AI credits",
            "quota_entitlement": 1500.0,
            "quota_percent_left": 60.0,
            "quota_overage": 0.0,
        }
        if has_failed:
            values.update(failed)
        yield tuple(values.get(name) for name in columns)


def _fill(path: Path, count: int) -> None:
    """Write `count` rows with the product's own code, because no other code computes the hashes."""
    from copilot_proxy.ledger.database import open_for_writing
    from copilot_proxy.ledger.insertion import insert
    from copilot_proxy.ledger.schema import COLUMNS

    database = open_for_writing(path)
    batch: list[tuple[Any, ...]] = []
    for row in _rows(count, COLUMNS):
        batch.append(row)
        if len(batch) == _BATCH:
            insert(database, batch)
            batch.clear()
    insert(database, batch)
    database.close()


def main() -> None:
    """Print the times of all views."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    build = own_build()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _fill(Path(folder) / "ledger.sqlite3", count)
        environ = {**os.environ, "COPILOT_PROXY_HOME_DIR": folder}
        print(f"| usage, {count:,} rows | s | CPU s |\n| --- | --- | --- |")
        for view in VIEWS:
            command = pinned([*build, "usage", *view.split()], TARGET_CORE)
            wall, cpu = min(_timed(command, environ) for _ in range(_TRIES))
            print(f"| `{f'usage {view}'.strip()}` | {wall:.2f} | {cpu:.2f} |", flush=True)


def _timed(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    started_at = time.monotonic()
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    return time.monotonic() - started_at, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
