"""Models of the catalogue, as data."""

from typing import Any

from copilot_proxy.catalogue import Model


def model(id: str, vendor: str = "OpenAI", **supports: Any) -> Model:
    """A chat model that supports these."""
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
PLAIN = model("somebody-1", vendor="Somebody")
"""A model that reasons not, streams not, and calls one tool at a time."""
