"""Models in the format of the catalogue, for the tests of Responses."""

from typing import Any

from copilot_proxy.catalogue import Model


def model(id: str, vendor: str = "OpenAI", **supports: Any) -> Model:
    """Return a chat model with the given capabilities."""
    return Model(
        id=id,
        name=id,
        vendor=vendor,
        type="chat",
        family=id,
        endpoints=("/responses",),
        supports=supports,
        limits={},
        raw={},
    )


GPT = model(
    "gpt-5.4", streaming=True, parallel_tool_calls=True, reasoning_effort=["low", "medium", "high"]
)
OLD = model("gpt-5.1", streaming=True, parallel_tool_calls=True)
"""A model that accepts only functions."""
NEW = model("gpt-6.1-sol", streaming=True, parallel_tool_calls=True)
"""A model that accepts all kinds of tools, even within the conversation."""
PLAIN = model("other-1", vendor="Other")
"""A model that does not reason or stream, and calls one tool at a time."""
