"""A text file as bytes and as text, preserving its byte order mark and line endings."""

from dataclasses import dataclass
from typing import Final, Self

_BOM: Final = b"\xef\xbb\xbf"


class CannotEdit(Exception):
    """A file cannot be edited safely; `reason` completes a sentence that starts with the file's
    path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Document:
    """The text of a file, and its byte order mark."""

    text: str
    bom: bool = False

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Return the document for the content of a file. Raises `CannotEdit`."""
        bom = content.startswith(_BOM)
        try:
            text = content.removeprefix(_BOM).decode("utf-8")
        except UnicodeDecodeError:
            raise CannotEdit("is not UTF-8 text") from None
        if "\0" in text:
            raise CannotEdit("is not UTF-8 text")
        return cls(text, bom)

    def encode(self) -> bytes:
        """Return the content of the file."""
        return (_BOM if self.bom else b"") + self.text.encode("utf-8")


def newline_of(text: str) -> str:
    """Return the line ending used in `text`."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
