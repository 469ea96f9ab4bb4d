"""A reproducible ledger with a month of requests, for tests and screenshots in the docs."""

import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.ledger.schema import COLUMNS

CLIENTS: Final = (
    # (name, model, API, share of the requests, project, key)
    ("claude-code", "claude-opus-5", "messages", 9, "website", "laptop"),
    ("codex", "gpt-5.5", "responses", 6, "backend", "laptop"),
    ("opencode", "claude-sonnet-5", "chat_completions", 4, "backend", "laptop"),
    ("llm", "gpt-5-mini", "chat_completions", 2, None, "scripts"),
    ("aider", "gemini-3.1-pro", "chat_completions", 1, "website", "scripts"),
)
_PRICES: Final = {"input": 500, "cache_read": 50, "cache_write": 625, "output": 2500}
"""Credits per million tokens."""

_LATEST: Final = 3 * 86_400
"""Seconds with requests of all kinds.

They are closer together if the month has just started, so that the page has something to show.
"""


def fill(path: Path, *, days: int = 30, per_day: int = 60, now: float | None = None) -> None:
    """Write a ledger to `path`."""
    now = time.time() if now is None else now
    with closing(open_for_writing(path)) as database:
        insert(
            database,
            [tuple(one.get(name) for name in COLUMNS) for one in _rows(days, per_day, now)],
        )
        for number, (client, model, age, ttl) in enumerate(
            [("claude-code", "claude-opus-5", 90, 300), ("codex", "gpt-5.5", 700, 300)]
        ):
            started = round((now - age) * 1e6)
            database.execute(
                "INSERT INTO prompts VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, 0, 0, ?, ?, x'')",
                (f"{client}-session", bytes([number]), model, started, started, 60_000, 55_000, ttl,
                 4_200_000_000, 38_900_000_000),
            )  # fmt: skip


def _rows(days: int, per_day: int, now: float) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    resets = (datetime.fromtimestamp(now, UTC).replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    spent, month = 0.0, ""
    named: set[str] = set()
    this_month = (resets - timedelta(days=1)).replace(day=1).timestamp()
    for number in range(days * per_day):
        age = 30 + (days * per_day - 1 - number) * 86_400 / per_day
        if age < _LATEST:
            age *= min(1, (now - this_month) / _LATEST)
        ended = now - age
        if chance.random() < 0.35 + 0.35 * math.cos(number / per_day * 2 * math.pi / 7):
            continue
        client, model, api, _, project, key = chance.choices(
            CLIENTS, weights=[one[3] for one in CLIENTS]
        )[0]
        tokens = {
            "input": chance.randrange(200, 4000),
            "cache_read": chance.randrange(0, 60_000),
            "cache_write": chance.randrange(0, 3000),
            "output": chance.randrange(30, 1800),
        }
        kind = chance.random()
        failed = kind < 0.03
        missed = 0.03 <= kind < 0.08
        details = [
            {
                "token_type": name,
                "token_count": count,
                "batch_size": 1_000_000,
                "cost_per_batch": _PRICES[name] * 10**9,
            }
            for name, count in tokens.items()
        ]
        nano = 0 if failed else sum(_PRICES[name] * 10**3 * count for name, count in tokens.items())
        day, this = day_and_month(int(ended) // 60)
        spent = spent + nano / 1e9 if this == month else nano / 1e9
        month = this
        row = {
            "request_id": f"{number:08x}-1111-4111-8111-111111111111",
            "day": day,
            "month": this,
            "started_us": round((ended - chance.uniform(2, 30)) * 1e6),
            "ended_us": round(ended * 1e6),
            "first_token_ms": None if failed else chance.randrange(400, 1900),
            "key": key,
            "client": client,
            "client_version": "2.1.0",
            # No session continues after a pause, so none has read a cached prompt after a pause.
            "session": f"{client}-session" if client not in named else f"{client}-{number}",
            "project": project,
            "api": api,
            "route": None if failed else "messages" if model.startswith("claude") else api,
            "stream": 1,
            "initiator": "agent",
            "attempts": 1,
            "model_asked": model,
            "model": model,
            "images": 0,
            "nano_aiu": nano,
            "cost_source": "free" if failed else "reported",
            "details_json": None
            if failed
            else json.dumps({"total_nano_aiu": nano, "token_details": details}),
            "status": 429 if failed else 200,
            "outcome": "refused_upstream" if failed else "ok",
            "error_code": "rate_limit_exceeded" if failed else None,
            "finish_reason": None if failed else "stop",
            "notes_json": json.dumps(["dropped temperature: the model accepts only its default"])
            if missed
            else None,
            "quota_unit": "AI credits",
            "quota_entitlement": 7000.0,
            "quota_percent_left": round(100 - spent / 70, 1),
            "quota_overage": 0.0,
            "quota_resets_at": resets.isoformat(),
        }
        named.add(client)
        if not failed:
            row |= {f"{name}_tokens": count for name, count in tokens.items()}
            row |= {"cache_write_1h_tokens": 0, "reasoning_tokens": tokens["output"] // 3}
        if missed:
            verdict = chance.choice(
                [("ttl_expiry", "734 300"), ("prefix_change", "tool 14 lsp"), ("rerouted", None)]
            )
            row |= {
                "cache_verdict": verdict[0],
                "cache_detail": verdict[1],
                "cache_lost_nano_aiu": chance.randrange(1, 9) * 10**9,
            }
        yield row
