"""Refuses prompts that have become so long that each of their tokens costs more.

Some models have a second, higher price for long prompts. Agents compact a conversation when the
model refuses it as too long, but not when it becomes expensive. This guard's refusal therefore
looks like the model's. Requests for a summary are admitted, because agents use them to compact.
Requests without tools are also admitted, because chat clients cannot compact. If a conversation is
still too long after it was compacted, it is admitted as well, because some agents would otherwise
compact it again and again, and pay each time.
"""

from typing import Final

from copilot_proxy.cost.tokens import from_usage
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.conversation import Conversation
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.large_work import run_in_turn
from copilot_proxy.relay.admission import Admission
from copilot_proxy.relay.costs import prices_of
from copilot_proxy.relay.records import RequestRecord

MIN_BYTES: Final = 2
"""Minimum bytes per token in a request; most tokens take four or more."""
_MAX_KNOWN: Final = 500
_MAX_TEXT: Final = 20_000
"""How many characters at the end of the text are searched for a request for a summary."""


class ContextGuard:
    """Refuses prompts above the price threshold; `admission` decides about all others."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._known: dict[tuple[str | None, str | None], tuple[int, int]] = {}
        """(session or client, model) -> the last prompt's actual and estimated tokens."""
        self._compacted: dict[tuple[str | None, str | None], bool] = {}
        """(session or client, model) -> whether a summary was requested since the last refusal.
        Only conversations that are too long are listed."""

    def __call__(self, record: RequestRecord) -> None:
        """Learn the number of prompt tokens from a completed request."""
        tokens = from_usage(record.usage)
        if not record.estimated_prompt or tokens is None or not tokens.prompt:
            return
        key = key_of(record)
        self._known.pop(key, None)
        self._known[key] = tokens.prompt, record.estimated_prompt
        if len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Raise `RequestError` if the prompt is so long that the model's higher price applies."""
        threshold = price_threshold(record)
        if threshold is not None:
            await self._check(record, request, threshold)
        await self._admission.admit(record, request)

    async def _check(self, record: RequestRecord, request: ClientRequest, threshold: int) -> None:
        key = key_of(record)
        was_refused = key in self._compacted
        if not record.tools:
            if was_refused and _asks_for_summary(record.client_api.conversation(request)):
                self._compacted[key] = True
            return
        tokens = 0
        if record.size > MIN_BYTES * threshold:
            # Iterating over a megabyte of JSON must not block other requests.
            record.estimated_prompt = await run_in_turn(request_tokens, request)
            tokens = self._tokens(record, record.estimated_prompt)
        if tokens <= threshold:
            self._compacted.pop(key, None)
        elif _asks_for_summary(record.client_api.conversation(request)):
            if was_refused:
                self._compacted[key] = True
        elif not self._compacted.get(key):
            self._compacted[key] = False
            if len(self._compacted) > _MAX_KNOWN:
                del self._compacted[next(iter(self._compacted))]
            raise _too_long(tokens, threshold)

    def _tokens(self, record: RequestRecord, estimated: int) -> int:
        """Return an estimate of a prompt's tokens, based on the last prompt and the text added
        since."""
        tokens, before = self._known.get(key_of(record), (0, 0))
        added, ratio = estimated - before, tokens / before if before else 1.0
        # Long tool results have at least as many tokens per character as the text before them.
        return tokens + round(added * (max(1.0, ratio) if added > 0 else ratio))


def key_of(record: RequestRecord) -> tuple[str | None, str | None]:
    """Return the best available key for a request's conversation."""
    return record.attribution.session or record.attribution.client, record.model


def _asks_for_summary(conversation: Conversation) -> bool:
    """Return whether the last turn is text from the user that asks for a summary."""
    for turn in reversed(conversation.turns):
        if turn.role not in ("system", "developer"):  # Claude Code adds notes after the user's text
            last = turn.texts[-1] if turn.role == "user" and turn.texts else ""
            return "summar" in last[-_MAX_TEXT:].lower()
    return False


def price_threshold(record: RequestRecord) -> int | None:
    """Return the token count above which the model costs more, or None if its price is constant."""
    prices = prices_of(record.listed) if record.listed is not None else None
    return prices.threshold if prices is not None and prices.long_context else None


def _too_long(tokens: int, threshold: int) -> RequestError:
    # This is Copilot's own wording for a prompt that is too long, which the clients' APIs
    # recognize.
    return RequestError(
        f"prompt token count of {tokens} exceeds the limit of {threshold}",
        code="context_length_exceeded",
        hint="Compact the conversation: above this limit, every token costs more, and the server "
        "refuses such prompts because context_guard is on.",
        headers={"x-should-retry": "false"},
    )
