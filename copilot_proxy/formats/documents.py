"""Finds documents in requests, and checks their data, in the formats of all client APIs.

Only PDFs are sent as documents, and only to models whose profiles accept them. The text of any
other file is inserted into the conversation, so every model can read it.
"""

import base64
import re
from typing import Any, Final, NamedTuple

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.base64_data import (
    inline_source,
    is_data_url,
    read_data_url,
    read_source,
    standard_base64,
    standard_type,
)
from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.types import ClientRequest, Json

PDF: Final = "application/pdf"
DEFAULT_NAME: Final = "document.pdf"
"""The default name of a PDF, since the Responses API requires a name."""
NO_DOCUMENTS_HINT: Final = (
    "Send the document's text, or use a model that accepts PDFs: Claude, GPT-5 and later, or a "
    "Gemini model for which Copilot lists application/pdf."
)
OTHER_UPSTREAM_HINT: Final = (
    "Send the document's text, or start the server without --upstream: this upstream cannot send "
    "PDFs."
)

_FILE_TYPES: Final = ("file", "input_file", "document")
"""The types of parts that contain a file, in Chat Completions, Responses and Messages."""
_NESTED: Final = ("content", "output", "parts", "functionResponse")
"""The fields that contain nested parts, in any API."""
_MAGIC: Final = b"%PDF-"
_MAGIC_RANGE: Final = 1024
"""PDF readers look for the magic number within this many bytes."""
_HEAD: Final = 1368
"""The number of base64 characters for `_MAGIC_RANGE` bytes; a multiple of 4."""
_PIECE: Final = 1024 * 1024
"""The number of base64 characters to decode at a time; a multiple of 4."""
_NO_BASE64: Final = "is a data: URL that is not base64"
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Control characters that do not occur in text; escapes (``\\x1b``) are not included, since
terminal output has them."""


class Document(NamedTuple):
    """A PDF in base64, or the text of another file; either `pdf` or `text` is None."""

    pdf: str | None
    text: str | None


def read_document(data: str, param: str, *, media_type: str = "", whole: bool = True) -> Document:
    """Return the document in `data`, which is standard base64 or a ``data:`` URL.

    If `whole` is false, only the start of a PDF is decoded, because its base64 has already been
    checked. `media_type` is the type that the client declared outside of a URL. Raises a
    `RequestError` naming `param` if the data is not base64, is declared as a PDF but is not one, or
    is neither a PDF nor text.
    """
    encoded = data
    if is_data_url(data):
        header, _, encoded = data.partition(",")
        media_type, _, encoding = header[5:].lower().rpartition(";")
        if encoding.strip() != "base64":
            raise _invalid(param, _NO_BASE64)
    content = _decoded(encoded if whole else encoded[:_HEAD], param)
    if is_pdf(content):
        return Document(encoded, None)
    if media_type.partition(";")[0].strip() == PDF:
        raise _invalid(param, "is declared as a PDF, but is not one")
    text = _text(content if whole else _decoded(encoded, param))
    if text is None:
        raise RequestError(
            f"Invalid '{param}': the file is neither a PDF nor text.",
            param=param,
            code="unsupported_value",
            hint="Send a PDF or the file's text. Send a PNG, JPEG, GIF or WebP file as an image.",
        )
    return Document(None, text)


def is_pdf(content: bytes) -> bool:
    """Return whether a file is a PDF, based on its first bytes."""
    return _MAGIC in content[:_MAGIC_RANGE]


def _decoded(encoded: str, param: str) -> bytes:
    # Decoded in small parts, because all other threads stop while a part is decoded.
    pieces = [encoded[i : i + _PIECE] for i in range(0, len(encoded), _PIECE)]
    try:
        if any("=" in piece for piece in pieces[:-1]):
            raise ValueError("padding")
        return b"".join([base64.b64decode(piece, validate=True) for piece in pieces])
    except ValueError:
        raise _invalid(param, "is not valid base64") from None


def _invalid(param: str, what: str) -> RequestError:
    return RequestError(
        f"Invalid '{param}': it {what}.",
        param=param,
        code="invalid_value",
        hint="Send the whole file as base64, such as data:application/pdf;base64,JVBERi0...",
    )


def _text(content: bytes) -> str | None:
    """Return `content` as text, or None if it is empty or binary."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if text and not _BINARY.search(text) else None


def as_text(text: str, title: object) -> str:
    """Return the text of a document between tags that state its title."""
    name = f' title="{title}"' if isinstance(title, str) and title else ""
    return f"<document{name}>\n{text}\n</document>"


def about_document(context: str) -> str:
    """Return the text that states a document's `context`, to be inserted before the document."""
    return f"About the next document: {context}"


def check_file(file: Json, path: str) -> None:
    """Check the file ``{"file_data", "filename"}`` of an OpenAI API, and standardize its data.

    `path` is the file's path in the request. Raises `RequestError` if the file is invalid, or given
    by id or URL instead of data.
    """
    data = file.get("file_data")
    if data is None:
        for name, place in (("file_id", "OpenAI's Files API"), ("file_url", "URLs")):
            if file.get(name) is not None:
                advice = "Send the file itself, in file_data, as a base64 data: URL"
                raise RequestError(
                    f"Copilot does not fetch files from {place}.",
                    param=f"{path}.{name}",
                    code="unsupported_value",
                    hint=image_hint(advice, file[name]),
                )
        param = f"{path}.file_data"
        raise RequestError(
            f"Missing required parameter: '{param}'.",
            param=param,
            code="missing_required_parameter",
        )
    if not isinstance(data, str):
        raise RequestError(
            f"Invalid type for '{path}.file_data': expected a string.",
            param=f"{path}.file_data",
            code="invalid_type",
        )
    if is_data_url(data):
        found = read_data_url(data)
        if found is None:
            raise _invalid(f"{path}.file_data", _NO_BASE64)
        file["file_data"] = data = str(found)
    else:
        file["file_data"] = data = standard_base64(data)
    read_document(data, f"{path}.file_data")


def checked_source(source: Any, path: str) -> Any:
    """Return the `source` of a ``document`` block of Messages in its standard form.

    The data in `source` may be a data: URL. Raises `RequestError` if the data is not a document.
    """
    if (inline := inline_source(source)) is None:
        return source
    if (found := read_source(inline)) is None:
        raise _invalid(f"{path}.data", _NO_BASE64)
    document = read_document(found.data, f"{path}.data", media_type=found.media_type)
    kind = found.media_type if document.pdf is None else PDF
    return {**inline, "media_type": kind, "data": found.data}


def check_blob(blob: Json, path: str) -> None:
    """Convert the type and data in Gemini's ``{"mimeType", "data"}`` to their standard forms.
    Raises `RequestError` if the data is not a document."""
    blob["mimeType"], blob["data"] = standard_type(blob["mimeType"]), standard_base64(blob["data"])
    read_document(blob["data"], f"{path}.data", media_type=blob["mimeType"])


def file_part(data: str, name: object, param: str) -> Json:
    """Return the chat part for the document in `data`: ``text``, or a ``file`` for a PDF.

    The file is ``{"filename", "file_data": "data:application/pdf;base64,..."}``.
    """
    document = read_document(data, param, whole=False)
    if document.text is not None:
        return {"type": "text", "text": as_text(document.text, name)}
    return {"type": "file", "file": pdf_file(document, name)}


def pdf_file(document: Document, name: object) -> Json:
    """Return a PDF in the format of the OpenAI APIs: ``{"filename", "file_data"}``."""
    filename = name if isinstance(name, str) and name.strip() else DEFAULT_NAME
    if not filename.lower().endswith(".pdf"):
        filename += ".pdf"  # OpenAI infers the type from the name
    return {"filename": filename, "file_data": f"data:{PDF};base64,{document.pdf}"}


def pdf_data(part: Json) -> str:
    """Return the base64 of the PDF in a chat part created by `file_part`."""
    data: str = part["file"]["file_data"]
    return data.partition(",")[2]


def first_pdf(request: ClientRequest) -> str | None:
    """Return the path of the first PDF in a validated request to any client API, or None.

    Tool results are also searched.
    """
    for root in FIELDS:
        items = request.get(root)
        if isinstance(items, list) and (found := _search(items)) is not None:
            return f"{root}{found}"
    return None


def _search(items: list[Any]) -> str | None:
    """Return the path of the first PDF in messages, items or parts, or None. The path is built only
    when a PDF is found, since most requests have none."""
    for i, item in enumerate(items):
        if not isinstance(item, dict) or (len(item) == 2 and type(item.get("content")) is str):
            continue  # the usual case: a role with text
        is_file = item.get("type") in _FILE_TYPES or "inlineData" in item
        if is_file and (found := _pdf_in(item)) is not None:
            return f"[{i}]{found}"
        for name in _NESTED:
            if name not in item:
                continue
            inner = item[name]
            if isinstance(inner, list) and (found := _search(inner)) is not None:
                return f"[{i}].{name}{found}"
            if isinstance(inner, dict) and (found := _search([inner])) is not None:
                return f"[{i}].{name}{found.removeprefix('[0]')}"
    return None


def _pdf_in(part: Json) -> str | None:
    match part:
        case {"type": "file", "file": {"file_data": str(data)}}:
            return ".file.file_data" if _has_pdf(data) else None
        case {"type": "input_file", "file_data": str(data)}:
            return ".file_data" if _has_pdf(data) else None
        case {"type": "document", "source": {"type": "base64", "data": str(data)}}:
            return ".source.data" if _has_pdf(data) else None
        case {"inlineData": {"mimeType": str(kind), "data": str(data)}}:
            is_image = kind.lower().startswith("image/")
            return ".inlineData.data" if not is_image and _has_pdf(data) else None
    return None


def _has_pdf(data: str) -> bool:
    return read_document(data, "", whole=False).pdf is not None
