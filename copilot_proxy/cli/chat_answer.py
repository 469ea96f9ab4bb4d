"""One answer on the screen: asked for, shown while it comes, and what it took."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from copilot_proxy.cli.console import talk
from copilot_proxy.cli.prices import credits_text
from copilot_proxy.formats.copilot_usage import credits_of
from copilot_proxy.terminal import can_draw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copilot_proxy.relay.records import RequestRecord
    from copilot_proxy.relay.relay import Relay

_FINISHES: Final = {
    "length": "The answer ends here because it reached the most tokens that it may have.",
    "content_filter": "The answer was stopped by Copilot's content filter.",
}


class Screen(Protocol):
    """Where the text of an answer goes."""

    def write(self, text: str) -> None:
        """More of it."""
        ...

    def close(self) -> None:
        """There is no more."""
        ...


class PlainScreen:
    """The text as it is, on stdout, at once."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._last = text

    def close(self) -> None:
        if self._last and not self._last.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()


@dataclass
class ChatAnswer:
    """What has come so far; it stays when the rest never comes."""

    record: "RequestRecord"
    text: str = ""
    finish: str | None = None


def new_answer() -> ChatAnswer:
    """An answer that has yet to be asked for."""
    from copilot_proxy.relay.records import RequestRecord, new_request_id

    return ChatAnswer(RequestRecord(new_request_id(), "chat_completions"))


async def ask(relay: "Relay", request: dict[str, Any], answer: ChatAnswer) -> None:
    """Shows the answer to `request` and collects it in `answer`; raises `CopilotProxyError`."""
    from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS

    screen = new_screen()
    try:
        with _waiting() as wait:
            async with relay.answer(CHAT_COMPLETIONS, request, answer.record) as reply:
                async for chunks in reply.events():
                    text, thought = _read(chunks, answer)
                    if text:
                        wait.stop()
                        answer.text += text
                        screen.write(text)
                    elif thought:
                        wait.think(thought)
    finally:
        screen.close()


async def ask_whole(relay: "Relay", request: dict[str, Any], answer: ChatAnswer) -> dict[str, Any]:
    """The whole completion, with nothing shown but that it is being waited for."""
    from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS

    with _waiting():
        async with relay.answer(CHAT_COMPLETIONS, request, answer.record) as reply:
            return await reply.whole()


def remark(answer: ChatAnswer, *, verbose: bool) -> None:
    """What the person should know of an answer beside its text."""
    if answer.finish in _FINISHES:
        talk(_FINISHES[answer.finish])
    elif not answer.text:
        talk("The model answered with nothing.")
    if verbose:
        talk(spent(answer.record))


def spent(record: "RequestRecord") -> str:
    """Model, tokens, time and credits, in a line."""
    parts = []
    if record.usage is not None:
        cached = record.usage["prompt_tokens_details"]["cached_tokens"]
        told = f" ({cached} cached)" if cached else ""
        parts.append(f"{record.usage['prompt_tokens']} tokens in{told}")
        parts.append(f"{record.usage['completion_tokens']} out")
    if record.first_token is not None:
        parts.append(f"first after {record.first_token:.2f} s")
    parts.append(f"{record.duration:.2f} s in all")
    if (credits := credits_of(record.copilot_usage)) is not None:
        parts.append(credits_text(credits))
    parts += [f"note: {note}" for note in record.notes]
    return f"{record.model}: {', '.join(parts)}"


def new_screen() -> Screen:
    """Markdown for a person, the bare text for a file or a program."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        if not console.is_dumb_terminal:
            from copilot_proxy.cli.markdown import MarkdownScreen

            return MarkdownScreen(console)
    return PlainScreen()


def _read(chunks: "Iterable[dict[str, Any]]", answer: ChatAnswer) -> tuple[str, str]:
    """The text and the reasoning of the chunks."""
    text = thought = ""
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or delta.get("refusal") or ""
            thought += delta.get("reasoning_content") or ""
            answer.finish = choice["finish_reason"] or answer.finish
    return text, thought


class _Wait(Protocol):
    """Tells that something is under way, until it is told to stop."""

    def think(self, thought: str) -> None: ...

    def stop(self) -> None: ...


class _Silence:
    """Nobody watches."""

    def think(self, thought: str) -> None: ...

    def stop(self) -> None: ...


@contextmanager
def _waiting() -> "Iterator[_Wait]":
    if not can_draw():
        yield _Silence()
        return
    from copilot_proxy.cli.spinner import Spinner

    spinner = Spinner()
    try:
        yield spinner
    finally:
        spinner.stop()
