"""The table of models, with as many columns as fit the terminal."""

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
    """One column; the columns with the highest `spare` are dropped first if space is short."""

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
    """Return Copilot's APIs that serve the model, in the order of preference; the server translates
    requests to other APIs."""
    if not model.endpoints:
        return "chat" if model.is_chat else model.type
    return " ".join(name for endpoint, name in _APIS.items() if endpoint in model.endpoints)


def state(model: Model) -> str:
    """Return whether the model is enabled, needs enabling, or is a preview."""
    if model.needs_enabling:
        return "needs enabling"
    return "preview" if model.raw.get("preview") is True else "enabled"


def draw(models: Sequence[Model], *, width: int | None) -> list[str]:
    """Return the lines of the table, the heading first; if `width` is None, with all columns."""
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


def _line(text: str) -> str:
    """Replace control characters in GitHub's text, which could control the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _cells(text: str) -> int:
    """Return the width of `text` on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _cells(text))
    return space + text if right else text + space
