"""Requests an answer, prints it as it is streamed, and summarizes its usage."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from copilot_proxy import __version__
from copilot_proxy.attribution import Attribution
from copilot_proxy.cli.console import print_message
from copilot_proxy.cost.nano_aiu import reported_total, rounded
from copilot_proxy.terminal import can_draw, escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copilot_proxy.relay.records import RequestRecord
    from copilot_proxy.relay.relay import Relay

_FINISHES: Final = {
    "length": "The answer was cut off because it reached the output token limit.",
    "content_filter": "The answer was stopped by Copilot's content filter.",
}


class AnswerPrinter(Protocol):
    """Prints the text of an answer."""

    def write(self, text: str) -> None:
        """Print a chunk of the text."""
        ...

    def close(self) -> None:
        """Finish the output."""
        ...


class PlainPrinter:
    """Prints text to stdout without buffering. On a terminal, control characters are escaped."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        sys.stdout.write(escape_controls(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()
        self._last = text

    def close(self) -> None:
        if self._last and not self._last.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()


@dataclass
class ChatAnswer:
    """The part of an answer received so far, which is kept if the stream breaks."""

    record: "RequestRecord"
    text: str = ""
    finish: str | None = None


def new_answer(session: str | None = None) -> ChatAnswer:
    """Return an empty answer for a new request, optionally in the conversation `session`."""
    from copilot_proxy.relay.records import RequestRecord, new_request_id

    attribution = Attribution("copilot-proxy chat", __version__, session=session)
    return ChatAnswer(RequestRecord(new_request_id(), "chat_completions", attribution=attribution))


async def ask(relay: "Relay", request: dict[str, Any], answer: ChatAnswer) -> None:
    """Send `request`; print the answer, and collect it in `answer`.

    Raises `CopilotProxyError` if the request fails.
    """
    from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS

    printer = new_printer()
    try:
        with _waiting() as progress:
            async with relay.answer(CHAT_COMPLETIONS, request, answer.record) as reply:
                async for chunks in reply.events():
                    text, reasoning = _read(chunks, answer)
                    if text:
                        progress.stop()
                        answer.text += text
                        printer.write(text)
                    elif reasoning:
                        progress.show_reasoning(reasoning)
    finally:
        printer.close()


async def ask_whole(relay: "Relay", request: dict[str, Any], answer: ChatAnswer) -> dict[str, Any]:
    """Send `request`, and return the whole chat completion without printing it.

    Raises `CopilotProxyError` if the request fails.
    """
    from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS

    with _waiting():
        async with relay.answer(CHAT_COMPLETIONS, request, answer.record) as reply:
            return await reply.whole()


def print_notices(answer: ChatAnswer, *, verbose: bool) -> None:
    """Print what the user should know about an answer besides its text, such as why it ended
    early."""
    if answer.finish in _FINISHES:
        print_message(_FINISHES[answer.finish])
    elif not answer.text:
        print_message("The model returned an empty answer.")
    if verbose:
        print_message(usage_summary(answer.record))


def usage_summary(record: "RequestRecord") -> str:
    """Return the model, tokens, time and credits of a request in one line."""
    parts = []
    if record.usage is not None:
        cached = record.usage["prompt_tokens_details"]["cached_tokens"]
        suffix = f" ({cached} cached)" if cached else ""
        parts.append(f"{record.usage['prompt_tokens']} tokens in{suffix}")
        parts.append(f"{record.usage['completion_tokens']} out")
    if record.first_token is not None:
        parts.append(f"first token after {record.first_token:.2f} s")
    parts.append(f"{record.duration:.2f} s in total")
    if (cost := reported_total(record.copilot_usage)) is not None:
        parts.append(f"{rounded(cost)} AI credits")
    parts += [f"note: {note}" for note in record.notes]
    return f"{record.model}: {', '.join(parts)}"


def new_printer() -> AnswerPrinter:
    """Return a printer that renders Markdown on a terminal, and prints plain text elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        if not console.is_dumb_terminal:
            from copilot_proxy.cli.markdown import MarkdownPrinter

            return MarkdownPrinter(console)
    return PlainPrinter()


def _read(chunks: "Iterable[dict[str, Any]]", answer: ChatAnswer) -> tuple[str, str]:
    """Return the text and the reasoning in `chunks`, and store the finish reason in `answer`."""
    text = reasoning = ""
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or delta.get("refusal") or ""
            reasoning += delta.get("reasoning_content") or ""
            answer.finish = choice["finish_reason"] or answer.finish
    return text, reasoning


class _Progress(Protocol):
    """Shows that an answer is pending, until `stop` is called."""

    def show_reasoning(self, reasoning: str) -> None: ...

    def stop(self) -> None: ...


class _NoProgress:
    """Shows nothing, because stderr is not a terminal."""

    def show_reasoning(self, reasoning: str) -> None: ...

    def stop(self) -> None: ...


@contextmanager
def _waiting() -> "Iterator[_Progress]":
    if not can_draw():
        yield _NoProgress()
        return
    from copilot_proxy.cli.spinner import Spinner

    spinner = Spinner()
    try:
        yield spinner
    finally:
        spinner.stop()
