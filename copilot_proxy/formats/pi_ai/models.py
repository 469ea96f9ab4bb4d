"""A model of Copilot's catalogue as pi-ai describes one, and which API pi-ai asks it on.

pi-ai has a list of models of its own; it is not asked, so that the catalogue decides here as well.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.profiles import Api, ModelProfile

Json = dict[str, Any]
PiApi = Literal["anthropic-messages", "openai-responses", "openai-completions"]

PROVIDER: Final = "github-copilot"
_ENDPOINTS: Final[Mapping[PiApi, str]] = {
    # In pi-ai's own order: the vendor's API first.
    "anthropic-messages": "/v1/messages",
    "openai-responses": "/responses",
    "openai-completions": "/chat/completions",
}
APIS: Final[Mapping[PiApi, Api]] = {
    "anthropic-messages": "messages",
    "openai-responses": "responses",
    "openai-completions": "chat_completions",
}
"""What we call them."""
_FREE: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
_CONTEXT: Final = 128_000
_OUTPUT: Final = 8192
"""Tokens, where the catalogue says none; pi-ai cannot do without."""


def api_of(model: Model) -> PiApi:
    """The API on which pi-ai asks `model`: the first in pi-ai's order that the catalogue lists."""
    listed = (api for api, path in _ENDPOINTS.items() if path in model.endpoints)
    return next(listed, "openai-completions")


def can_think(profile: ModelProfile, api: PiApi) -> bool:
    """Whether pi-ai can make a model think as hard as it is told on `api`."""
    if api != "anthropic-messages":
        return bool(profile.efforts)
    if profile.adaptive:
        return profile.known_to_pi_ai
    return profile.max_budget is not None


def pi_model(
    model: Model,
    profile: ModelProfile,
    api: PiApi,
    *,
    reasoning: bool,
    levels: Mapping[str, str],
) -> Json:
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
            "supportsReasoningEffort": bool(profile.efforts),
            "maxTokensField": profile.limit_field,
        }
    return described
