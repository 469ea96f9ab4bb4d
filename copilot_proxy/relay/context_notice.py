"""Adds a note if a conversation has become so long that every token will soon cost more.

The length is known from the conversation's last answer, so nothing needs to be estimated.
"""

import logging
from typing import Final

from copilot_proxy.cost.tokens import from_usage
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.admission import Admission
from copilot_proxy.relay.context_guard import MIN_BYTES, key_of, price_threshold
from copilot_proxy.relay.records import RequestRecord

log = logging.getLogger(__name__)

_SHARE: Final = 0.8
"""The share of the threshold above which a note is added."""
_MAX_KNOWN: Final = 500


class ContextNotice:
    """Adds a note to the requests of long conversations, and then asks `admission`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._long: dict[tuple[str | None, str | None], int] = {}
        """(session or client, model) -> the tokens of the last prompt. Only conversations that have
        been long are listed; the number is 0 after a prompt that was short again."""

    def __call__(self, record: RequestRecord) -> None:
        """Learn the number of prompt tokens from a completed request."""
        threshold = price_threshold(record)
        tokens = None if threshold is None else from_usage(record.usage)
        if threshold is None or tokens is None:
            return
        key = key_of(record)
        is_long, is_known = tokens.prompt >= _SHARE * threshold, key in self._long
        if not (is_long or is_known):
            return
        self._long.pop(key, None)
        self._long[key] = tokens.prompt if is_long else 0
        if len(self._long) > _MAX_KNOWN:
            del self._long[next(iter(self._long))]
        if not is_known:
            client = record.attribution.client or "A client"
            log.warning("%s has sent a %s.", client, _text(tokens.prompt, threshold, record.model))

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Add a note if the last prompt of the conversation was long."""
        tokens = self._long.get(key_of(record)) if self._long else None
        threshold = price_threshold(record) if tokens else None
        # Without a session, a short request may belong to a different conversation of the client.
        if threshold and tokens and record.size > MIN_BYTES * _SHARE * threshold:
            record.notes.append(f"last {_text(tokens, threshold, record.model)}")
        await self._admission.admit(record, request)


def _text(tokens: int, threshold: int, model: str | None) -> str:
    return f"prompt of {tokens:,} tokens: above {threshold:,}, every token of {model} costs more"
