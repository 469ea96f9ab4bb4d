"""``usage --why``: why requests missed the prompt cache, what that cost, and what to do."""

import json
import textwrap
from collections.abc import Iterator
from typing import Final

from copilot_proxy.cli.console import counted, print_result
from copilot_proxy.cost.cache_advice import explain, pause_and_ttl
from copilot_proxy.cost.nano_aiu import rounded
from copilot_proxy.ledger.cache_queries import Loss, losses
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters

_WIDTH: Final = 80


def show(database: Database, period: Period, filters: Filters, *, as_json: bool) -> int:
    """Print why requests missed the cache in a period."""
    found = losses(database, period, filters)
    if as_json:
        print_result(json.dumps(_as_json(found), indent=2))
    else:
        for text in _lines(found):
            print_result(text)
    return 0


def _lines(found: list[Loss]) -> Iterator[str]:
    if not found:
        yield "No request missed the prompt cache."
        return
    count, lost = sum(one.requests for one in found), sum(one.nano_aiu for one in found)
    yield (
        f"{counted(count, 'request')} lost {rounded(lost)} AI credits by not reading from the "
        "prompt cache:"
    )
    amounts = [rounded(one.nano_aiu) for one in found]
    width = max(map(len, amounts))
    for one, amount in zip(found, amounts, strict=True):
        what, advice = explain(one.reason, one.detail, one.requests)
        yield ""
        sentence = (
            f"{one.client or 'unknown client'}: {counted(one.requests, 'request')} {what}. {advice}"
        )
        yield from textwrap.wrap(
            sentence,
            _WIDTH,
            initial_indent=f"{amount:>{width}}  ",
            subsequent_indent=" " * (width + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )


def _as_json(found: list[Loss]) -> dict[str, object]:
    return {
        "requests": sum(one.requests for one in found),
        "cache_lost_nano_aiu": sum(one.nano_aiu for one in found),
        "losses": [
            {
                "client": one.client,
                "reason": one.reason,
                **_detail(one),
                "requests": one.requests,
                "cache_lost_nano_aiu": one.nano_aiu,
                "unknown_cost_requests": one.unknown_cost_requests,
                "advice": explain(one.reason, one.detail, one.requests)[1],
            }
            for one in found
        ],
    }


def _detail(loss: Loss) -> dict[str, object]:
    if loss.reason != "ttl_expiry":
        return {"detail": loss.detail}
    pause, ttl = pause_and_ttl(loss.detail)
    return {"detail": str(pause), "cache_seconds": ttl}
