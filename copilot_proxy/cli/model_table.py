"""The table of models: what is known of each in a few characters, in as many columns as fit."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.cli.prices import price_text

_GAP: Final = 2
_APIS: Final = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/v1/messages": "messages",
    "/embeddings": "embeddings",
}


class Column(NamedTuple):
    """One column; those with the highest `spare` are the first to go where there is no room."""

    title: str
    spare: int
    cell: Callable[[Model], str]
    right: bool = False


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
    Column("STATE", 3, lambda model: state(model)),
)


def apis(model: Model) -> str:
    """Copilot's own APIs that serve it, in the order of this package's preference; on all others
    the server translates."""
    if not model.endpoints:
        return "chat" if model.is_chat else model.type
    return " ".join(name for endpoint, name in _APIS.items() if endpoint in model.endpoints)


def state(model: Model) -> str:
    """Whether it can be used now, and how long it may stay."""
    if model.needs_enabling:
        return "needs enabling"
    return "preview" if model.raw.get("preview") is True else "enabled"


def draw(models: Sequence[Model], *, width: int | None) -> list[str]:
    """The lines of the table, the heading first; None for `width` keeps all columns."""
    columns = list(COLUMNS)
    while True:
        cells = [[_line(column.cell(model)) for column in columns] for model in models]
        widths = [
            max(_cells(text) for text in (column.title, *(row[i] for row in cells)))
            for i, column in enumerate(columns)
        ]
        total = sum(widths) + _GAP * (len(widths) - 1)
        if width is None or total <= width or len(columns) == 1:
            break
        columns.remove(max(columns, key=lambda column: column.spare))
    rows = [[column.title for column in columns], *cells]
    return [
        (" " * _GAP)
        .join(
            _padded(text, size, right=column.right)
            for text, size, column in zip(row, widths, columns, strict=True)
        )
        .rstrip()
        for row in rows
    ]


def matching(models: Iterable[Model], words: str) -> list[Model]:
    """Those with `words` in their id, name or vendor."""
    words = words.casefold()
    return [
        model
        for model in models
        if any(words in text.casefold() for text in (model.id, model.name, model.vendor))
    ]


def _size(tokens: int | None) -> str:
    """``128k``, ``1M``."""
    if tokens is None:
        return ""
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def _mark(yes: bool) -> str:
    return "yes" if yes else "-"


def _line(text: str) -> str:
    """What GitHub sends is shown, never obeyed: no control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _cells(text: str) -> int:
    """How wide the terminal shows it."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _cells(text))
    return space + text if right else text + space
