"""Answers of chat completions in the format of the model's vendor."""

from __future__ import annotations

from .catalogue import vendor
from .chat_format import FILTERS, HIT, Facts, filter_chunk
from .chat_format_azure import Azure
from .chat_format_claude import Claude
from .chat_format_gemini import Gemini
from .stream import Answer, Event

FORMATS = {"claude": Claude, "gemini": Gemini}
FAILED = "the stream was ended by the server"


def answer(facts: Facts) -> Answer:
    """Return the answer in the format of the model's vendor."""
    format_ = FORMATS.get(vendor(facts.model), Azure)(facts)
    leading = filter_chunk(HIT if facts.finish == "content_filter" else FILTERS)
    return Answer(
        format_.events,
        format_.whole,
        lambda code: Event({"error": {"message": FAILED, "code": code}}),
        leading=Event(leading),
        filler=Event({"choices": [{"index": 0, "delta": {"content": ""}}], **facts.envelope}),
    )
