"""``python -m tests.billing [ORDERS [CREDITS]]``: compares the ledger with the actual charges.

Then lets twenty agents work with a budget of CREDITS a day, and prints the results.
"""

import sys
import tempfile
from pathlib import Path

from tests.billing.agents import run_agents
from tests.billing.trial import run_trial


def main() -> int:
    """Run both trials; return the exit code, which is 1 if anything went wrong."""
    orders, credits = (*map(int, sys.argv[1:3]), *(10_000, 100)[len(sys.argv[1:3]) :])
    with tempfile.TemporaryDirectory() as folder:
        is_exact = _orders(Path(folder) / "orders", orders)
        is_within = _agents(Path(folder) / "agents", credits)
    return 0 if is_exact and is_within else 1


def _orders(home: Path, count: int) -> bool:
    found, sound, seconds = run_trial(home, count)
    print(f"{found.orders:,} orders in {seconds:.0f} s, {found.rows:,} rows: {dict(found.sources)}")
    print(f"charged  {found.charged:>20,} nano-AIU")
    print(f"recorded {found.recorded:>20,} nano-AIU")
    print(f"{found.killed} requests were running, or not written yet, when a process was killed")
    print("usage --verify: " + ("sound" if sound else "NOT SOUND"))
    for problem in found.problems[:20]:
        print(problem)
    return sound and not found.problems and found.charged == found.recorded


def _agents(home: Path, credits: int) -> bool:
    found = run_agents(home, credits)
    print(found.text)
    return found.spent == found.recorded and found.excess <= found.running_error


if __name__ == "__main__":
    sys.exit(main())
