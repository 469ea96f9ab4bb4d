"""Converts clients' base64 data and data: URLs to the form that Copilot's APIs accept.

Programs write base64 with line breaks (Python's ``encodebytes``), without padding, or in the
URL-safe alphabet, and data: URLs (RFC 2397) with parameters or in uppercase. All of these
represent the same bytes.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from copilot_proxy.formats.types import Json

_URL_ALPHABET: Final = str.maketrans("-_", "+/")
_SPACES: Final = " \t\r\n\v\f"
_SYNONYMS: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
}
"""Unregistered media types and their registered equivalents."""


class DataUrl(NamedTuple):
    """A data: URL's media type, which may be empty, and its data in standard base64."""

    media_type: str
    data: str

    def __str__(self) -> str:
        return f"data:{self.media_type};base64,{self.data}"


def standard_base64(text: str) -> str:
    """Return base64 in the standard alphabet, with padding and without whitespace.

    If it already has this form, the same object is returned. Does not detect invalid base64.
    """
    # Searching for single characters is much faster than a regular expression, and images are
    # large.
    if any(space in text for space in _SPACES):
        text = "".join(text.split())
    if "-" in text or "_" in text:
        text = text.translate(_URL_ALPHABET)
    return text + "=" * (-len(text) % 4) if len(text) % 4 else text


def standard_type(media_type: str) -> str:
    """Return the registered name of a media type, in lowercase and without parameters."""
    media_type = media_type.partition(";")[0].strip().lower()
    return _SYNONYMS.get(media_type, media_type)


def is_data_url(text: str) -> bool:
    """Return whether `text` is a data: URL, in upper or lower case."""
    return text[:5].lower() == "data:"


def read_data_url(url: str) -> DataUrl | None:
    """Return the parts of a data: URL in their standard form, or None if its data is not base64.

    Characters of the base64 may be percent-encoded, for example ``+`` as ``%2B``.
    """
    header, comma, data = url.partition(",")
    media_type, *parameters = header[5:].split(";")
    if not comma or "base64" not in [one.strip().lower() for one in parameters]:
        return None
    return DataUrl(
        standard_type(media_type), standard_base64(unquote(data) if "%" in data else data)
    )


def inline_source(source: Any) -> Json | None:
    """Return a Messages `source` as a ``base64`` source, or None if it contains no data.

    The data may be in a data: URL.
    """
    match source:
        case {"type": "url", "url": str(url)} if is_data_url(url):
            return {"type": "base64", "data": url}
        case {"type": "base64", "data": str()}:
            inline: Json = source
            return inline
    return None


def read_source(source: Json) -> DataUrl | None:
    """Return the type and the data of a Messages `source` in their standard form, or None if its
    ``data`` is a data: URL that is not base64."""
    data, declared = source["data"], source.get("media_type")
    kind = standard_type(declared) if isinstance(declared, str) else ""
    if not is_data_url(data):
        return DataUrl(kind, standard_base64(data))
    found = read_data_url(data)
    return found._replace(media_type=kind) if found and not found.media_type else found
