"""Parallel agents that work until the budget refuses them, and their spending.

Their conversations grow with each turn. Copilot's charges differ from the product's estimates:
texts have between 3.2 and 4.4 characters per token, and answers between 40 and 3,000 tokens.
"""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx

from tests.billing.copilot import FakeCopilot
from tests.billing.server import Server

_TURNS = 1000
"""More turns than any agent takes; order number = agent * `_TURNS` + turn."""
_WORDS = [
    "the",
    "cache",
    "of",
    "a",
    "model",
    "keeps",
    "what",
    "it",
    "has",
    "read",
    "so",
    "that",
    "the",
    "next",
    "turn",
    "costs",
    "less",
]
_RUNNING_LAST = """
SELECT nano_aiu, reserved_nano_aiu FROM requests WHERE reserved_nano_aiu IS NOT NULL
AND ended_us >= (SELECT max(started_us) FROM requests WHERE reserved_nano_aiu IS NOT NULL)
"""
"""The cost and reservations of requests that were running when the last one was admitted.

Once a request has ended, its cost is reserved instead of its estimate.
"""


class Spending(NamedTuple):
    """What the agents have spent; amounts are in nano-AIU."""

    limit: int
    requests: int
    refused: int
    spent: int
    """The amount according to the fake Copilot."""
    recorded: int
    """The amount according to the ledger."""
    excess: int
    """Amount spent beyond the limit; negative if part of the limit is left."""
    running_error: int
    """Upper bound on the amount over the limit.

    It is the excess of cost over reservation, summed over the requests that were running when the
    last one was admitted.
    """
    ratios: Sequence[float]
    """For each request, the cost divided by its reservation, in order."""

    @property
    def text(self) -> str:
        """The result, one sentence per line."""
        return (
            f"{self.requests} requests, {self.refused} agents refused; limit "
            f"{self.limit / 1e9:g}, spent {self.spent / 1e9:.3f} ({self.spent / self.limit:.1%})\n"
            f"error of the running estimates: {self.running_error / 1e9:+.3f}\n"
            f"cost / estimate: median {median(self.ratios):.2f}, lowest {self.ratios[0]:.2f}, "
            f"highest {self.ratios[-1]:.2f}; {sum(one > 1 for one in self.ratios)} of "
            f"{len(self.ratios)} above 1"
        )


def run_agents(home: Path, limit: int, agents: int = 20) -> Spending:
    """Let `agents` agents work with a budget of `limit` credits a day, on two workers."""
    with (
        FakeCopilot() as fake,
        Server(home, fake.url, "--workers", "2", budget=f"{limit}/day") as server,
    ):
        ledger = Path(server.run("usage", "path").stdout.strip())
        refused = asyncio.run(_all(server, agents))
    spent = sum(charge.nano for charge in fake.charges.values())
    return _spending(ledger, limit * 10**9, spent, refused)


async def _all(server: Server, agents: int) -> int:
    return sum(await asyncio.gather(*(_agent(server, number) for number in range(agents))))


async def _agent(server: Server, number: int) -> bool:
    """Send requests until the budget refuses one; return whether it did."""
    choose = random.Random(number)
    text = " ".join(choose.choices(_WORDS, k=choose.randrange(2_000, 40_000)))
    turns: list[dict[str, Any]] = [{"role": "user", "content": ""}, _turn("assistant", text)]
    headers = {"session-id": f"agent-{number}", "user-agent": "opencode/1.18.33"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=120) as client:
        for turn in range(_TURNS):
            turns[0]["content"] = f"Please fill order {number * _TURNS + turn} turn."
            turns.append(_turn("user", " ".join(choose.choices(_WORDS, k=200))))
            body = {"model": "claude-opus-4.7", "stream": True, "messages": turns}
            answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            if answer.status_code != 200:
                assert "budget_exceeded" == answer.json()["error"]["code"], answer.text
                return True
            turns.append(_turn("assistant", " ".join(choose.choices(_WORDS, k=300))))
    return False


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def _spending(ledger: Path, limit: int, spent: int, refused: int) -> Spending:
    with closing(sqlite3.connect(ledger)) as database:
        rows = database.execute(
            "SELECT nano_aiu, reserved_nano_aiu FROM requests WHERE outcome = 'ok'"
        ).fetchall()
        running = database.execute(_RUNNING_LAST).fetchall()
    return Spending(
        limit=limit,
        requests=len(rows),
        refused=refused,
        spent=spent,
        recorded=sum(cost for cost, _ in rows),
        excess=spent - limit,
        running_error=sum(max(0, cost - reserved) for cost, reserved in running),
        ratios=sorted(cost / reserved for cost, reserved in rows),
    )
