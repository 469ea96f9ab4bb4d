"""A model of each vendor, and helpers that read the chunks of a stream."""

MODELS = {
    "azure": "gpt-4o",
    "claude": "claude-sonnet-4.5",
    "gemini": "gemini-3.5-flash",
}
ASK = "Weather in Paris and London, please"


def calls_of(chunks):
    """Return the tool call fragments of a stream, in order."""
    return [
        fragment
        for chunk in chunks
        if isinstance(chunk, dict)
        for choice in chunk["choices"] or []
        for fragment in choice["delta"].get("tool_calls") or []
    ]


def text_of(chunks):
    """Return the text of a stream."""
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        if isinstance(chunk, dict)
        for choice in chunk["choices"] or []
    )


def finishes(chunks):
    return [
        choice["finish_reason"]
        for chunk in chunks
        if isinstance(chunk, dict)
        for choice in chunk["choices"] or []
        if choice.get("finish_reason")
    ]
