"""The table of models, with as many columns as the terminal has room for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from copilot_proxy.catalogue import (
    CHAT_COMPLETIONS_PATH,
    EMBEDDINGS_PATH,
    MESSAGES_PATH,
    RESPONSES_PATH,
    Model,
)
from copilot_proxy.cli.prices import price_text
from copilot_proxy.terminal import escape_controls

_GAP: Final = 2
_STATE: Final = "STATE"
_APIS: Final = {
    CHAT_COMPLETIONS_PATH: "chat",
    RESPONSES_PATH: "responses",
    MESSAGES_PATH: "messages",
    EMBEDDINGS_PATH: "embeddings",
}


class Column(NamedTuple):
    """A column; if space is short, columns with the highest `drop_order` are dropped first."""

    title: str
    drop_order: int
    cell: Callable[[Model], str]
    right: bool = False

    def text(self, model: Model) -> str:
        """Return the cell, or "-" if it is empty.

        Control characters are replaced, because text from GitHub could contain some.
        """
        return "".join(char if char.isprintable() else "?" for char in self.cell(model)) or "-"


def _reasoning(model: Model) -> bool:
    supports = model.supports
    return bool(
        model.reasoning_efforts
        or supports.get("adaptive_thinking") is True
        or isinstance(supports.get("max_thinking_budget"), int)
    )


COLUMNS: Final = (
    Column("MODEL", 0, lambda model: model.id),
    Column("NAME", 10, lambda model: model.name),
    Column("VENDOR", 9, lambda model: model.vendor),
    Column("CONTEXT", 2, lambda model: _size(model.limit("max_context_window_tokens")), right=True),
    Column("OUTPUT", 8, lambda model: _size(model.limit("max_output_tokens")), right=True),
    Column("VISION", 4, lambda model: _mark(model.supports.get("vision") is True)),
    Column("TOOLS", 7, lambda model: _mark(model.supports.get("tool_calls") is True)),
    Column("REASONING", 6, lambda model: _mark(_reasoning(model))),
    Column("PRICE", 1, price_text, right=True),
    Column("NATIVE API", 5, lambda model: apis(model)),
)
"""All columns of the table except the last one, the state."""


def apis(model: Model) -> str:
    """Return the Copilot APIs that serve the model, in order of preference."""
    if not model.endpoints:
        return "chat" if model.is_chat else model.type
    return " ".join(name for endpoint, name in _APIS.items() if endpoint in model.endpoints)


def state(model: Model, default: Model | None = None) -> str:
    """Describe the state of the model, such as ``preview, default, retires 2026-12-14``."""
    is_preview = model.raw.get("preview") is True
    words = ["needs enabling" if model.needs_enabling else "preview" if is_preview else "enabled"]
    if model is default:
        words.append("default")
    if (notice := model.retirement) is not None:
        words.append(f"retires {notice.on}" if notice.on else "retires soon")
    return ", ".join(words)


def hidden_columns(lines: Sequence[str]) -> list[str]:
    """Return the titles of the columns that are missing from the drawn table `lines`."""
    titles = [*(column.title for column in COLUMNS), _STATE]
    return [title for title in titles if title not in lines[0]]


def draw(
    models: Sequence[Model],
    *,
    width: int | None,
    bold: bool = False,
    default: Model | None = None,
) -> list[str]:
    """Return the lines of the table. The first is the heading, in bold if `bold` is true.

    If `width` is None, all columns are kept. The `default` model is marked.
    """
    columns = [*COLUMNS, Column(_STATE, 3, lambda model: state(model, default))]
    texts = {
        column: [column.title, *(escape_controls(column.text(model)) for model in models)]
        for column in columns
    }
    widths = {column: max(map(_width, texts[column])) for column in columns}
    for column in sorted(columns, key=lambda column: -column.drop_order):
        if width is None or sum(widths.values()) + _GAP * (len(widths) - 1) <= width:
            break
        if len(widths) > 1:
            del widths[column]
    cells = ([_cell(text, column, widths) for text in texts[column]] for column in widths)
    heading, *lines = ((" " * _GAP).join(row).rstrip() for row in zip(*cells, strict=True))
    return [f"\x1b[1m{heading}\x1b[0m" if bold else heading, *lines]


def _cell(text: str, column: Column, widths: Mapping[Column, int]) -> str:
    blank = " " * (widths[column] - _width(text))
    return blank + text if column.right else text + blank


def _width(text: str) -> int:
    """Return the number of terminal columns that `text` takes up."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # importing it takes a tenth of the command's time

    return cell_len(text)


def matching(models: Iterable[Model], words: str) -> list[Model]:
    """Return the models with `words` in their id, name or vendor, ignoring case."""
    words = words.casefold()
    return [
        model
        for model in models
        if any(words in text.casefold() for text in (model.id, model.name, model.vendor))
    ]


def _size(tokens: int | None) -> str:
    """Format a number of tokens, such as ``128k`` or ``1M``."""
    if tokens is None:
        return ""
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def _mark(yes: bool) -> str:
    return "yes" if yes else "-"
