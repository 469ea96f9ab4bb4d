"""Model lists from three dates, to show that nothing depends on particular models.

The list from March 2026 was recorded. The list from November 2026 was written in the same format,
with the models, prices and classes of that month. The third is invented: other vendors, no classes,
prices without tiers, no model in the picker.
"""

from typing import Any, Final

from copilot_proxy.catalogue import Catalogue, parse_models
from tests.conftest import recorded_json

_NOVEMBER: Final = """
claude-fable-5 powerful very_high 1000 5000
claude-fable-5.2 powerful very_high 800 4000
claude-haiku-4.5 lightweight medium 100 500
claude-haiku-5.5 lightweight low 10 50
claude-opus-5 powerful high 500 2500 retires
claude-opus-5.5 powerful high 400 2000
claude-sonnet-4.6 versatile high 300 1500
claude-sonnet-5 versatile medium 200 1000
claude-sonnet-5.5 versatile medium 200 1000
gemini-3.8-flash lightweight medium 75 375
gemini-4-argon versatile medium 200 1000
gemini-4-hydrogen versatile medium 150 750
gemini-4-neon powerful high 300 1500 disabled
kimi-k3 powerful high 300 1500
gpt-5.3-codex powerful medium 175 1400
gpt-5.6-luna lightweight low 20 120
gpt-5.6-sol versatile high 400 2000
gpt-5.6-terra versatile medium 200 1200 retires
gpt-6-astra powerful very_high 1000 5000
gpt-6-luna lightweight low 10 50
gpt-6.1-sol versatile medium 200 1000
gpt-6.1-terra versatile medium 100 500
gpt-6.2-astra powerful very_high 800 4000
gpt-6.2-sol powerful medium 200 1000
grok-4.5 versatile medium 200 600 retires
grok-4.7 versatile medium 200 600
mai-code-2 versatile low 50 250
mai-code-2-flash lightweight low 5 25
"""
"""Id, category, price class, AI credits per million input and output tokens, and other fields."""
_VENDORS: Final = {
    "claude": "Anthropic",
    "gpt": "OpenAI",
    "gemini": "Google",
    "grok": "xAI",
    "kimi": "Moonshot AI",
    "mai": "Microsoft",
    "text": "Azure OpenAI",
}
RETIRES: Final = [
    {
        "code": "model_pending_deprecation",
        "message": "This model will be retired on 2026-12-14. Use a newer one instead.",
    }
]


def entry(line: str) -> dict[str, Any]:
    """Return the list entry of a model from November."""
    model_id, category, price, cost_in, cost_out, *more = line.split()
    return {
        "id": model_id,
        "object": "model",
        "vendor": _VENDORS[model_id.partition("-")[0]],
        "model_picker_enabled": True,
        "model_picker_category": category,
        "model_picker_price_category": price,
        "policy": {"state": "disabled" if "disabled" in more else "enabled"},
        "billing": {
            "token_prices": {
                "batch_size": 1_000_000,
                "default": {"input_price": int(cost_in), "output_price": int(cost_out)},
            }
        },
        "info_messages": RETIRES if "retires" in more else [],
        "capabilities": {"type": "chat", "supports": {"streaming": True, "tool_calls": True}},
    }


def _future(model_id: str, output: float | None, vendor: str = "Aurora Labs") -> dict[str, Any]:
    prices = {"input_price": output / 5 * 1e9, "output_price": output * 1e9} if output else None
    return {
        "id": model_id,
        "vendor": vendor,
        "model_picker_enabled": False,
        "billing": {"token_prices": prices},
        "supported_endpoints": ["/v9/live"] if model_id.endswith("live") else [],
    }


_EMBEDDINGS: Final = {
    "id": "text-embedding-3-small",
    "vendor": "Azure OpenAI",
    "capabilities": {"type": "embeddings"},
}

CATALOGUES: Final[dict[str, Catalogue]] = {
    "2026-03": parse_models(recorded_json("models.json")),
    "2026-11": parse_models([*map(entry, _NOVEMBER.split("\n")[1:-1]), _EMBEDDINGS]),
    "future": parse_models(
        [
            _future("claude-opus-6", 20_000, "Anthropic"),
            _future("claude-haiku-6", 500, "Anthropic"),
            _future("gpt-7-sol", 1000, "OpenAI"),
            _future("gpt-7-luna", 50, "OpenAI"),
            _future("aurora-1", 400),
            _future("aurora-1-live", 10),
            _future("plain-1", None),
            _EMBEDDINGS,
        ]
    ),
}
