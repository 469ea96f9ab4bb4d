"""Chat completions answers in the format of the model's vendor."""

from __future__ import annotations

from .catalogue import vendor
from .chat_format import FILTERS, HIT, ChatFacts, filter_chunk
from .chat_format_azure import Azure
from .chat_format_claude import Claude
from .chat_format_gemini import Gemini
from .chat_format_kimi import Kimi
from .script import REFUSAL
from .stream import DONE, Answer, Event
from .types import ChatCompletion

FORMATS = {"claude": Claude, "gemini": Gemini, "kimi": Kimi}
FAILED = "the stream was ended by the server"


def without_choices(facts: ChatFacts) -> Answer:
    """Return newer Claude models' answer to a request for one token: usage, but no choices."""
    format_ = FORMATS.get(vendor(facts.model), Azure)(facts)
    body = {"choices": [], **facts.envelope, **format_.costs()}
    return Answer(
        lambda: [Event(body, final=True), DONE],
        lambda: body,
        lambda code: Event({"error": {"message": FAILED, "code": code}}),
    )


def with_refusal(body: ChatCompletion) -> ChatCompletion:
    """Add the explanation to each refusal in the body, and return the body."""
    for choice in body["choices"]:
        if choice.get("finish_reason") == "refusal":
            choice["message"] |= {"content": None, "refusal": REFUSAL}
    return body


def answer(facts: ChatFacts) -> Answer:
    """Return the answer in the format of the model's vendor."""
    format_ = FORMATS.get(vendor(facts.model), Azure)(facts)
    leading = filter_chunk(HIT if facts.finish == "content_filter" else FILTERS)
    return Answer(
        format_.events,
        lambda: with_refusal(format_.whole()),
        lambda code: Event({"error": {"message": FAILED, "code": code}}),
        leading=Event(leading),
        filler=Event({"choices": [{"index": 0, "delta": {"content": ""}}], **facts.envelope}),
    )
