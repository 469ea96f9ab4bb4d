"""Renders Markdown on a terminal while it is being streamed.

A complete block, such as a paragraph, is printed once; only the last, incomplete block is redrawn
as it grows. The redrawn part is never taller than the screen, because lines that have scrolled off
cannot be redrawn.
"""

import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import CodeBlock, Markdown
from rich.segment import Segment
from rich.syntax import Syntax

from copilot_proxy.terminal import escape_controls

_REFRESHES: Final = 10
"""Redraws per second."""
_REDRAW_INTERVAL: Final = 5
"""The minimum time between two redraws, as a multiple of the time the last redraw took."""
_FENCES: Final = ("```", "~~~")

Lines = list[list[Segment]]


class _Code(CodeBlock):
    """A code block without a frame or a background, so that it can be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(
            str(self.text).rstrip(),
            self.lexer_name,
            theme="ansi_dark",
            word_wrap=True,
            background_color="default",
        )


class _Markdown(Markdown):
    elements = {**Markdown.elements, "fence": _Code, "code_block": _Code}  # noqa: RUF012  # overrides Rich's attribute


class MarkdownPrinter:
    """Renders an answer as it arrives; after `close`, the whole answer stays on the terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._rest = ""
        self._printed = False
        self._tail = _Tail()
        self._live: Live | None = None

    def write(self, text: str) -> None:
        """Render a chunk of the answer, escaping its control characters."""
        self._rest += escape_controls(text.replace("\r", ""))
        finished, self._rest = split(self._rest)
        self._tail.text = self._rest
        for block in finished:
            self._finish(block)
        if self._rest.count("\n") >= self._console.height:
            # Otherwise, the block would outgrow the screen, and its beginning would stay hidden
            # until it is complete.
            done, self._rest = split_long(self._rest)
            if done:
                self._finish(done, is_partial=True)
                self._tail.text = self._rest
        if self._live is None:
            self._live = Live(
                self._tail,
                console=self._console,
                refresh_per_second=_REFRESHES,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def close(self) -> None:
        """Print the last block. Safe to call twice."""
        if self._live is not None:
            self._tail.text = ""
            self._live.stop()
            self._live = None
        if self._rest.strip():
            self._finish(self._rest)
        self._rest = ""

    def _finish(self, text: str, *, is_partial: bool = False) -> None:
        """Print a block. With `is_partial`, the rest of the block is printed later."""
        lines = rendered(text, self._console, self._console.options)
        if lines:
            if self._tail.below:
                lines.insert(0, [])
            if is_partial and text.startswith(_FENCES):
                code = text.rstrip("`~\n \t")
                empty = text.count("\n") - code.count("\n") - 2
                lines += [[] for _ in range(empty)]
            self._print(lines)
            self._tail.below = not is_partial
        elif not is_partial:
            # The last part of a block printed in parts may be empty.
            self._tail.below = self._printed

    def _print(self, lines: Lines) -> None:
        self._printed = True
        self._console.print(_Drawn(lines), end="")


class _Drawn:
    """A Rich renderable of lines that have already been rendered."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield from line
            yield Segment.line()


class _Tail:
    """The incomplete block; shows as much of its end as fits on the screen."""

    def __init__(self) -> None:
        self.text = ""
        self.below = False
        """Whether there is a block above, which must be followed by an empty line."""
        self._drawn_text = ""
        self._lines: Lines = []
        self._cost = 0.0
        self._at = 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text, now = self.text, time.perf_counter()
        if not text:
            self._lines, self._drawn_text = [], ""
        elif text != self._drawn_text and now - self._at >= _REDRAW_INTERVAL * self._cost:
            self._lines, self._drawn_text = rendered(text, console, options), text
            self._at = time.perf_counter()
            self._cost = self._at - now
        # One line is reserved for the cursor, and one keeps the line above visible.
        room = max(console.height - 2, 1)
        lines = [[], *self._lines] if self.below and self._lines else self._lines
        yield _Drawn(lines[-room:])


def split(text: str) -> tuple[list[str], str]:
    """Split `text` into the blocks that later text cannot change, and the remaining text."""
    # An incomplete line may still become part of any block.
    complete = text[: text.rfind("\n") + 1]
    tokens = Markdown(complete).parsed
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map]
    # Like the parser, and unlike `splitlines`, this splits only at "\n".
    lines = [line + "\n" for line in complete.split("\n")[:-1]]
    blocks = ["".join(lines[start:end]) for start, end in pairwise([0, *starts[1:]])]
    return blocks, text[sum(map(len, blocks)) :]


def split_long(text: str) -> tuple[str, str]:
    """Split an incomplete list or code block into a complete part and an incomplete part.

    Both parts are blocks of the same kind. If there is no complete part, returns "" and `text`.
    """
    complete = text[: text.rfind("\n") + 1]
    tokens = Markdown(complete).parsed
    if not tokens:
        return "", text
    if tokens[0].type in ("bullet_list_open", "ordered_list_open"):
        items = [
            token.map[0]
            for token in tokens
            if token.type == "list_item_open" and token.level == 1 and token.map
        ]
        lines = complete.split("\n")
        done = "".join(line + "\n" for line in lines[: items[-1]]) if len(items) > 1 else ""
        return done, text[len(done) :]
    if tokens[0].type == "fence" and tokens[0].map == [0, complete.count("\n")]:
        opening, _, code = complete.partition("\n")
        # Keep the last non-empty line in the incomplete part, so that no empty lines are lost.
        *lines, last = code.rstrip("\n").split("\n")
        closed = last.strip().startswith(tokens[0].markup)
        if not closed and opening.startswith(tokens[0].markup) and "".join(lines).strip():
            done = "".join(line + "\n" for line in lines)
            rest = text[len(opening) + 1 + len(done) :]
            return f"{opening}\n{done}{tokens[0].markup}\n", f"{opening}\n{rest}"
    return "", text


def rendered(text: str, console: Console, options: ConsoleOptions) -> Lines:
    """Render `text` as lines, without surrounding empty lines or trailing spaces."""
    markdown = _Markdown(text, hyperlinks=False, inline_code_theme="ansi_dark")
    lines = [_stripped(line) for line in console.render_lines(markdown, options, pad=False)]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _stripped(line: Iterable[Segment]) -> list[Segment]:
    segments = list(line)
    while segments and not segments[-1].text.strip():
        segments.pop()
    if segments:
        last = segments[-1]
        segments[-1] = Segment(last.text.rstrip(), last.style, last.control)
    return segments
