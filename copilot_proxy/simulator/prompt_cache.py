"""The providers' prompt caches, which tests can turn on.

Claude's cache keeps the prefixes that a request marks. GPT's keeps entire prompts, and reuses the
beginning of one in steps of 128 tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversation import Conversation

MARKS = ("cache_control", "copilot_cache_control")
MIN_TOKENS = 1024
STEP = 128


class PromptCache:
    """The caches of all models on several machines. Requests use the caches of `machine`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, ttl: float = 300) -> None:
        """`clock` returns seconds; a prompt is kept for `ttl` seconds after its last use."""
        self.machine = 0
        self._clock = clock
        self._ttl = ttl
        self._used: dict[tuple[int, str, str], float] = {}
        """When each prefix was last used, by machine and model."""

    def use(self, conversation: Conversation, body: Any) -> None:
        """Set in `conversation` how many tokens are read from the cache and written to it."""
        parts = list(_parts(body))
        text = "".join(part for part, _ in parts)
        per_char = conversation.prompt_tokens / max(1, len(text))
        known = self._known(conversation.model)
        if conversation.model.startswith("claude"):
            ends, end = [], 0
            for part, is_marked in parts:
                end += len(part)
                if is_marked and end * per_char >= MIN_TOKENS:
                    ends.append(end)
            read = max((len(one) for one in known if text.startswith(one)), default=0)
            for end in ends:
                self._keep(conversation.model, text[:end])
            conversation.cached_tokens = round(read * per_char)
            last = max(ends, default=0)
            conversation.written_tokens = round(max(0, last - read) * per_char)
        else:
            read = max((_common(one, text) for one in known), default=0)
            cached = int(read * per_char) // STEP * STEP
            conversation.cached_tokens = cached if cached >= MIN_TOKENS else 0
            self._keep(conversation.model, text)

    def _known(self, model: str) -> list[str]:
        oldest = self._clock() - self._ttl
        return [
            text
            for (machine, owner, text), used in self._used.items()
            if (machine, owner) == (self.machine, model) and used >= oldest
        ]

    def _keep(self, model: str, text: str) -> None:
        self._used[self.machine, model, text] = self._clock()


def _common(one: str, other: str) -> int:
    """Return the length of the prefix that both strings share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _parts(body: Any) -> Iterator[tuple[str, bool]]:
    """Yield the text of each part of the prompt, and whether the part is marked for caching."""
    for tool in body.get("tools") or []:
        yield _part("tool", tool)
    for system in _listed(body.get("system") or body.get("instructions") or []):
        yield _part("system", system)
    given = body.get("messages", body.get("input"))
    for message in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        whole = {k: v for k, v in message.items() if k != "content"}
        is_marked = any(whole.pop(name, None) for name in MARKS)
        for block in _listed(message.get("content") or []):
            text, block_marked = _part(message.get("role", ""), block)
            yield text, block_marked
        yield json.dumps(whole), is_marked


def _part(role: str, part: Any) -> tuple[str, bool]:
    bare = {k: v for k, v in part.items() if k not in MARKS}
    return f"{role} {json.dumps(bare)}\n", len(bare) < len(part)


def _listed(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
