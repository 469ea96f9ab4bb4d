"""Validation of documents: PDFs and text that are part of a prompt."""

from __future__ import annotations

import base64
import re

from . import catalogue
from .messages_thinking import invalid_request
from .refusal import copilot, invalid
from .types import Json, Model, Part

PDF = "application/pdf"
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.S)
DOCUMENT_TOKENS = 1500
"""The token count of every document, whatever its size."""


def check_source(source: Json) -> None:
    """Raise a 400 if Claude does not accept the source of a ``document`` block."""
    kind = source.get("type")
    if kind == "text":
        if not isinstance(source.get("data"), str):
            raise invalid_request("document.source.text.data: Field required")
        return
    if kind != "base64":
        raise invalid_request("document.source: only base64 and text are supported")
    # Copilot's list of media types is for images; Claude accepts PDFs even if they are not
    # listed.
    if source.get("media_type") != PDF:
        raise invalid_request(f"document.source.base64.media_type: Input should be '{PDF}'")
    if not is_pdf(source.get("data")):
        raise invalid_request("The PDF specified was not valid.")


def check_file(part: Part, model: Model) -> None:
    """Raise a 400 if an ``input_file`` part is not a PDF, or the model cannot read files."""
    if catalogue.gpt_version(model) < catalogue.FIRST_WITH_FILES:
        raise invalid(f"input_file is not supported by model {model['id']}")
    found = DATA_URL.fullmatch(str(part.get("file_data")))
    if found is None:
        raise copilot(
            400,
            "Invalid input_file: expected file_data to be a base64 data URL.",
            "invalid_value",
            param="input",
        )
    if found[1] != PDF or not is_pdf(found[2]):
        raise copilot(400, "Invalid input_file: expected a PDF.", "unsupported_file", param="input")


def is_pdf(data: object) -> bool:
    """Return whether `data` is a PDF in base64."""
    if not isinstance(data, str):
        return False
    try:
        return base64.b64decode(data, validate=True).startswith(b"%PDF-")
    except ValueError:
        return False
