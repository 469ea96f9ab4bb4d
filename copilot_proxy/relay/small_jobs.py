"""Recognizes clients' small jobs, such as writing a title, which a small model can do.

Clients request these in addition to the conversation, often with the same model. A small job is
recognized from the client that sends it and a phrase in the instructions. Requests that offer tools
are never treated as small jobs, so that the user's own requests are not mistaken for them.
Compacting a conversation is not a small job.
"""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.relay.records import RequestRecord

_JOBS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "claude-code": (
        ("name", "Generate a short kebab-case name (2-4 words)"),
        ("label", "Write a short summary label describing what these tool calls"),
    ),
    "codex": (("title", "Generate a concise, single-line task title"),),
    "continue": (("title", "title for the chat that is 3-4 words"),),
    "gemini-cli": (
        ("routing", "You are a specialized Task Routing AI."),
        ("title", "Summarize the user's primary intent or goal in this conversation in ONE"),
        ("next speaker", "of your immediately preceding response (your last turn in the"),
    ),
    "kilo": (
        ("title", "You are a title generator."),
        ("summary", "Summarize what was done in this conversation. Write like a pull request"),
    ),
    "opencode": (
        ("title", "You are a title generator."),
        ("summary", "Summarize what was done in this conversation. Write like a pull request"),
    ),
    "qwen-code": (("title", "Generate a concise, sentence-case title (3-7 words)"),),
}
"""Client -> types of jobs and their phrases, from the clients' own programs, 2026-11."""
_MAX_CHARS: Final = 20_000
"""Maximum characters of instructions for a small job; longer text is from the user or a tool."""


def small_job(record: RequestRecord, request: ClientRequest) -> str | None:
    """Return the type of small job that a request asks for, or None."""
    phrases = _JOBS.get(record.attribution.client or "")
    if phrases is None or record.tools:
        return None
    for text in _instructions(record, request):
        for kind, phrase in phrases:
            if phrase in text:
                return kind
    return None


def _instructions(record: RequestRecord, request: ClientRequest) -> list[str]:
    """Return the texts at the start and the end of a conversation, where clients put
    instructions."""
    found, turns = record.client_api.conversation(request)
    for turn in (*turns[:2], *turns[2:][-1:]):
        found = found + turn.texts
    return [text for text in found if len(text) <= _MAX_CHARS]
