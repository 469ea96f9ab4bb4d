"""Models of the catalogue, for the tests of pi-ai's formats."""

from typing import Any

from copilot_proxy.catalogue import Model

CHAT = "/chat/completions"
RESPONSES = "/responses"
MESSAGES = "/v1/messages"


def model(
    id: str, *endpoints: str, vendor: str = "OpenAI", output: int | None = None, **supports: Any
) -> Model:
    """Return a chat model with these endpoints and capabilities."""
    return Model(
        id=id,
        name=id.title(),
        vendor=vendor,
        type="chat",
        family=id,
        endpoints=endpoints,
        supports=supports,
        limits={} if output is None else {"max_output_tokens": output},
        raw={},
    )


GPT_4 = model("gpt-4.1", CHAT, output=16384)
GPT_5 = model(
    "gpt-5.4", CHAT, RESPONSES, output=64000, reasoning_effort=["low", "medium", "high", "xhigh"]
)
CLAUDE = model(
    "claude-sonnet-4.5", CHAT, MESSAGES, vendor="Anthropic", output=32000, max_thinking_budget=32000
)
ADAPTIVE = model(
    "claude-opus-4.6",
    MESSAGES,
    vendor="Anthropic",
    output=64000,
    adaptive_thinking=True,
    reasoning_effort=["low", "medium", "high", "max"],
)
BOUND = model(
    "claude-opus-9", MESSAGES, vendor="Anthropic", adaptive_thinking=True, reasoning_effort=["low"]
)
"""A model that always thinks, and whose thinking is bound to the conversation."""
GEMINI = model("gemini-3-pro", CHAT, vendor="Google", reasoning_effort=["none", "low", "high"])
ALL = (GPT_4, GPT_5, CLAUDE, ADAPTIVE, BOUND, GEMINI, model("silent"))
