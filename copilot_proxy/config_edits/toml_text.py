"""Adds tables at the end of a TOML file, and removes them again, leaving all other text
unchanged."""

from typing import Any

from copilot_proxy.config_edits.document import CannotEdit, newline_of


def parse(text: str) -> dict[str, Any]:
    """Return the data in `text`. Raises `CannotEdit`."""
    import tomllib  # commands that do not edit anything should not wait for this import

    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"is not valid TOML: {error}") from None
    except RecursionError:
        raise CannotEdit("is not valid TOML: it is nested too deeply") from None


def add_tables(text: str, tables: str) -> str:
    """Return `text` with `tables` appended. Raises `CannotEdit`.

    `tables` uses ``\\n`` as its line ending, and starts with a table header.
    """
    before = parse(text)
    end = newline_of(text)
    start = text + (end if text and not text.endswith("\n") else "") + (end if text else "")
    result = start + tables.replace("\n", end)
    try:
        after = parse(result)
    except CannotEdit:
        raise CannotEdit("already defines the same table, in another form") from None
    for name, added in parse(tables).items():
        known = before.get(name)
        expected = (known or []) + added if isinstance(added, list) else added
        if (known is not None and not isinstance(added, list)) or after[name] != expected:
            raise CannotEdit(f"already defines {name!r}")
    return result


def remove_tables(text: str, tables: str) -> str:
    """Return `text` without `tables`. Raises `CannotEdit` if they have been changed."""
    end = newline_of(text)
    block = tables.replace("\n", end)
    if text.count(block) != 1:
        raise CannotEdit("no longer contains the tables that were added")
    before, _, after = text.partition(block)
    return before.removesuffix(end if before.endswith(end * 2) else "") + after
