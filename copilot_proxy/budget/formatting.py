"""Formats the amounts in a refusal, the command that raises the limit, and the ledger's problems.

Some clients retry a request if the error message contains a number such as 500, whatever it means,
so such numbers are avoided.
"""

import shlex
from collections.abc import Sequence
from typing import Final

from copilot_proxy.cost.limits import Limit
from copilot_proxy.cost.nano_aiu import NANO, credits, grouped
from copilot_proxy.formats.permanent_errors import looks_retryable
from copilot_proxy.private_files import UnsafeFileError, failure_reason

_USUAL_RAISE: Final = 100
"""The number of AI credits by which a refusal suggests raising a large limit."""
TO_RAISE: Final = "To raise it, run: "
"""The start of the advice in a refusal, before the command."""
NAMES: Final = {"day": "today", "month": "this month", "session": "this session"}


def amount(nano: int) -> str:
    """Return an amount in AI credits, or in dollars if clients could misread the credits."""
    if 0 < nano < NANO // 200:
        return "less than 0.01 AI credits"
    return _unmistakable(nano, f"{credits(nano):,.2f}")


def limit_amount(nano: int) -> str:
    """Return a limit's amount without unnecessary decimals."""
    return _unmistakable(nano, grouped(credits(nano)))


def _unmistakable(nano: int, text: str) -> str:
    value = credits(nano)
    forms = (
        f"{text.replace(',', ' ')} AI credits",
        f"${value / 100:.2f}",
        f"{round(value):,} AI credits".replace(",", " "),
        f"${value / 100:.1f}",
    )
    form = next((form for form in forms if not looks_retryable(form)), "the allowed amount")
    return "1 AI credit" if form == "1 AI credits" else form


def number(count: int) -> str:
    """Return `count` as text, or a slightly higher number if clients could misread `count`."""
    while looks_retryable(text := f"{count:,}".replace(",", " ")):
        count += 1
    return text


def scope_text(limit: Limit) -> str:
    """Return the limit's scope, such as `` for the client codex``, or "" for all requests."""
    return f" for the {limit.kind} {limit.name}" if limit.kind else ""


def scope_flag(limit: Limit) -> str:
    """Return the flag that selects the limit's scope in commands, or "" for all requests."""
    return f" --{limit.kind} {shlex.quote(limit.name)}" if limit.kind else ""


def advised_raise(limit: Limit, missing: int) -> str:
    """Return the command that raises the limits of a scope by a round number of AI credits.

    The number covers the `missing` nano-AIU. It is at least `_USUAL_RAISE` or, if the limit is
    lower than that, the limit itself.
    """
    needed = max(1, -(-missing // NANO), min(_USUAL_RAISE, -(-limit.nano // NANO)))
    step = 10 ** (len(str(needed)) - 1)
    rounded = -(-needed // step) * step
    while looks_retryable(str(rounded)):
        rounded += step
    return f"copilot-proxy budget raise {rounded}{scope_flag(limit)}"


def stored_hint(notes: Sequence[str]) -> str:
    """Explain why the budget refused a request, given the request's `notes` in the ledger.

    The ledger does not store the original message, but one of the notes may be its advice.
    """
    usual = f"{TO_RAISE}copilot-proxy budget raise {_USUAL_RAISE}"
    advice = next((note for note in notes if note.startswith(TO_RAISE)), usual)
    return (
        "The budget did not allow this request, so it was not sent to Copilot. Wait until the "
        f"budget resets, or raise it with: {advice.removeprefix(TO_RAISE)}"
    )


def spent_text(limit: Limit, allowed: int, spent: int) -> str:
    """Return a note such as "budget: 82.50 of 100 AI credits spent today"."""
    limit_text, text = limit_amount(allowed), amount(spent)
    if "AI credit" in limit_text:
        text = text.removesuffix(" AI credits")
    return f"budget{scope_text(limit)}: {text} of {limit_text} spent {NAMES[limit.per]}"


def ledger_problem(error: Exception) -> str:
    """Return a sentence that says why the limits cannot be checked."""
    if not isinstance(error, OSError):
        return f"The ledger cannot be used: {str(error).rstrip('.')}."
    path = error.path if isinstance(error, UnsafeFileError) else error.filename
    return f"{path or 'The ledger'} cannot be used: {failure_reason(error)}."
