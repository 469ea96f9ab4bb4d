"""One reply of chat completions in the dialect of the model's vendor."""

from __future__ import annotations

from .catalogue import vendor
from .dialect import FILTERS, HIT, Facts, filter_chunk
from .dialect_azure import Azure
from .dialect_claude import Claude
from .dialect_gemini import Gemini
from .stream import Answer, Event

DIALECTS = {"claude": Claude, "gemini": Gemini}
FAILED = "the stream was ended by the server"


def answer(facts: Facts) -> Answer:
    """The reply as the model's vendor gives it, streamed and whole."""
    dialect = DIALECTS.get(vendor(facts.model), Azure)(facts)
    leading = filter_chunk(HIT if facts.finish == "content_filter" else FILTERS)
    return Answer(
        dialect.events,
        dialect.whole,
        lambda code: Event({"error": {"message": FAILED, "code": code}}),
        leading=Event(leading),
        filler=Event({"choices": [{"index": 0, "delta": {"content": ""}}], **facts.envelope}),
    )
