"""A model of Copilot's catalogue as pi-ai describes one, and which API pi-ai asks it on.

pi-ai has a list of models of its own; it is not asked, so that the catalogue decides here as well.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.adapt import is_reasoning_gpt

Json = dict[str, Any]
PiApi = Literal["anthropic-messages", "openai-responses", "openai-completions"]

PROVIDER: Final = "github-copilot"
_ENDPOINTS: Final[Mapping[PiApi, str]] = {
    # In pi-ai's own order: the vendor's API first.
    "anthropic-messages": "/v1/messages",
    "openai-responses": "/responses",
    "openai-completions": "/chat/completions",
}
_ADAPTIVE: Final = re.compile(r"opus-4[-.][67]|sonnet-4[-.]6")
"""The models of which pi-ai 0.73 knows that they choose by themselves how long they think."""
_FREE: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
_CONTEXT: Final = 128_000
_OUTPUT: Final = 8192
"""Tokens, where the catalogue says none; pi-ai cannot do without."""


def api_of(model: Model) -> PiApi:
    """The API on which pi-ai asks `model`: the first in pi-ai's order that the catalogue lists."""
    listed = (api for api, path in _ENDPOINTS.items() if path in model.endpoints)
    return next(listed, "openai-completions")


def can_think(model: Model, api: PiApi) -> bool:
    """Whether pi-ai can make `model` think as hard as it is told on `api`."""
    if api != "anthropic-messages":
        return bool(model.reasoning_efforts)
    if model.supports.get("adaptive_thinking") is True:
        return _ADAPTIVE.search(model.id) is not None
    return type(model.supports.get("max_thinking_budget")) is int


def thinks_adaptively(model: Model) -> bool:
    """Whether pi-ai leaves it to the model how long it thinks."""
    return model.supports.get("adaptive_thinking") is True


def pi_model(model: Model, api: PiApi, *, reasoning: bool, levels: Mapping[str, str]) -> Json:
    """pi-ai's `Model`, but for its address; `levels` are Copilot's names of pi-ai's levels."""
    described: Json = {
        "id": model.id,
        "name": model.name,
        "api": api,
        "provider": PROVIDER,
        "reasoning": reasoning,
        # Always both: pi-ai would leave an image out in silence, where Copilot says that the model
        # takes none.
        "input": ["text", "image"],
        "cost": dict(_FREE),
        "contextWindow": model.limit("max_context_window_tokens") or _CONTEXT,
        "maxTokens": model.limit("max_output_tokens") or _OUTPUT,
    }
    if levels:
        described["thinkingLevelMap"] = dict(levels)
    if api == "anthropic-messages":
        described["compat"] = {"supportsEagerToolInputStreaming": False}
    elif api == "openai-completions":
        described["compat"] = {
            "supportsStore": False,
            "supportsDeveloperRole": False,
            "supportsReasoningEffort": bool(model.reasoning_efforts),
            "maxTokensField": "max_completion_tokens" if is_reasoning_gpt(model) else "max_tokens",
        }
    return described
