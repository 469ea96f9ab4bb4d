"""Describes the models of Copilot's catalogue to pi-ai, and chooses their APIs.

pi-ai's own model list is not used.
"""

from collections.abc import Mapping
from typing import Final, Literal

from copilot_proxy.catalogue import CHAT_COMPLETIONS_PATH, MESSAGES_PATH, RESPONSES_PATH, Model
from copilot_proxy.formats.model_profiles import Api, ModelProfile
from copilot_proxy.formats.types import Json

PiApi = Literal["anthropic-messages", "openai-responses", "openai-completions"]

PROVIDER: Final = "github-copilot"
_ENDPOINTS: Final[Mapping[PiApi, str]] = {
    # In pi-ai's order: the vendor's API first.
    "anthropic-messages": MESSAGES_PATH,
    "openai-responses": RESPONSES_PATH,
    "openai-completions": CHAT_COMPLETIONS_PATH,
}
APIS: Final[Mapping[PiApi, Api]] = {
    "anthropic-messages": "messages",
    "openai-responses": "responses",
    "openai-completions": "chat_completions",
}
"""pi-ai's name for an API -> this program's name."""
_NO_COST: Final = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
_NO_CONTEXT: Final = 0
"""The context window reported to pi-ai. With the actual one, pi-ai would lower the client's limit
to its own estimate of the space left, which would cut off responses without an error."""
_DEFAULT_OUTPUT: Final = 8192
"""The output limit in tokens for models without a limit in the catalogue."""


def api_of(model: Model) -> PiApi:
    """Return the API that pi-ai uses for `model`: the first of `_ENDPOINTS` that it supports."""
    listed = (api for api, path in _ENDPOINTS.items() if path in model.endpoints)
    return next(listed, "openai-completions")


def can_think(profile: ModelProfile, api: PiApi) -> bool:
    """Return whether pi-ai can control how much a model thinks on `api`."""
    if api != "anthropic-messages":
        return bool(profile.efforts)
    return profile.adaptive or profile.max_budget is not None


def pi_model(
    model: Model,
    profile: ModelProfile,
    api: PiApi,
    *,
    reasoning: bool,
    levels: Mapping[str, str],
) -> Json:
    """Return pi-ai's `Model` without ``baseUrl``.

    `levels` maps pi-ai's thinking levels to Copilot's reasoning efforts.
    """
    description: Json = {
        "id": model.id,
        "name": model.name,
        "api": api,
        "provider": PROVIDER,
        "reasoning": reasoning,
        # Always both, because pi-ai would silently omit images, whereas Copilot reports that the
        # model does not accept them.
        "input": ["text", "image"],
        "cost": dict(_NO_COST),
        "contextWindow": _NO_CONTEXT,
        "maxTokens": model.limit("max_output_tokens") or _DEFAULT_OUTPUT,
    }
    if levels:
        description["thinkingLevelMap"] = dict(levels)
    # If a model does not accept later system messages, they have already been moved.
    description["compat"] = {"supportsMidConvoSystemMessages": True}
    if api == "anthropic-messages":
        description["compat"] |= {
            "supportsEagerToolInputStreaming": False,
            "forceAdaptiveThinking": profile.adaptive,
        }
    elif api == "openai-completions":
        description["compat"] |= {
            "supportsStore": False,
            "supportsDeveloperRole": False,
            "supportsReasoningEffort": bool(profile.efforts),
            # A stream may end with just [DONE]; the sidecar detects streams that break.
            "supportsFinishReason": False,
            "maxTokensField": profile.limit_field,
        }
    return description
