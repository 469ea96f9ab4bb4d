"""Finds the names of unknown fields, events and other things that Copilot sends.

Only names are reported, never content.

The known names are from Copilot's API as observed until 2026-11. Unknown things still work: they
are passed on or ignored. They only suggest that a newer version of this program may support more.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.catalogue import API_PATHS, RESPONSES_SOCKET, Catalogue
from copilot_proxy.formats.error_table import is_known_code
from copilot_proxy.model_retirements import notices

_NAME: Final = re.compile(r"[\w.:/ -]{1,60}", re.ASCII)
_LIST_LIMIT: Final = 100
"""Maximum number of unknown things to report about a model list."""


class Unknown(NamedTuple):
    """Something unknown, such as ``("model field", "billing.surcharge")``."""

    kind: str
    name: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "": _words(
        "id object name vendor version preview model_picker_enabled model_picker_category "
        "model_picker_price_category is_chat_default is_chat_fallback policy billing "
        "supported_endpoints capabilities warning_messages info_messages warning_text "
        "custom_model deprecated"
    ),
    "policy": frozenset({"state", "terms"}),
    "capabilities": frozenset({"object", "type", "family", "tokenizer", "limits", "supports"}),
    "capabilities.limits": _words(
        "max_context_window_tokens max_prompt_tokens max_output_tokens "
        "max_non_streaming_output_tokens max_inputs vision"
    ),
    "capabilities.limits.vision": frozenset(
        {"max_prompt_images", "max_prompt_image_size", "supported_media_types"}
    ),
    "capabilities.supports": _words(
        "streaming tool_calls parallel_tool_calls vision structured_outputs adaptive_thinking "
        "min_thinking_budget max_thinking_budget reasoning_effort dimensions tool_search "
        "context_editing prediction"
    ),
    "billing": _words("is_premium multiplier restricted_to token_prices auto_discount promo"),
    "billing.token_prices": _words(
        "batch_size default long_context input_price output_price cache_price cache_read_price "
        "cache_write_price cache_write_1h context_max max_prompt_tokens"
    ),
}
"""The fields of a model in Copilot's list, by the path of the object that contains them."""
_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "vendor": frozenset(
        {
            "OpenAI",
            "Azure OpenAI",
            "Anthropic",
            "Google",
            "xAI",
            "Microsoft",
            "Moonshot AI",
            "MiniMax",
        }
    ),
    "model_picker_category": frozenset({"lightweight", "versatile", "powerful"}),
    "model_picker_price_category": frozenset({"low", "medium", "high", "very_high"}),
    "policy.state": frozenset({"enabled", "disabled", "unconfigured"}),
    "capabilities.type": frozenset({"chat", "embeddings", "completion"}),
    "capabilities.supports.reasoning_effort": frozenset(
        {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
    ),
    "supported_endpoints": API_PATHS | {RESPONSES_SOCKET},
}
"""The known values of some fields of a model, by the path of the field."""
_MODEL_CODES: Final = frozenset({"model_pending_deprecation"})

_EVENTS: Final[Mapping[str, frozenset[str]]] = {
    "messages": _words(
        "message_start content_block_start content_block_delta content_block_stop message_delta "
        "message_stop ping error message"
    ),
    "responses": frozenset(
        f"response.{name}"
        for name in _words(
            "created in_progress queued completed incomplete failed output_item.added "
            "output_item.done content_part.added content_part.done output_text.delta "
            "output_text.done output_text.annotation.added refusal.delta refusal.done "
            "reasoning_text.delta reasoning_text.done reasoning_summary_part.added "
            "reasoning_summary_part.done reasoning_summary_text.delta reasoning_summary_text.done "
            "function_call_arguments.delta function_call_arguments.done "
            "custom_tool_call_input.delta custom_tool_call_input.done"
        )
    )
    | {"error"},
}
"""The event types, by the name of the API."""
_CHUNK: Final = _words(
    "id object created model choices usage system_fingerprint copilot_usage copilot_annotations "
    "copilot_references copilot_confirmation copilot_errors prompt_filter_results service_tier "
    "obfuscation padding error"
)
"""The fields of a Chat Completions chunk or completion."""
_BLOCKS: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_ITEMS: Final = _words(
    "message reasoning function_call custom_tool_call tool_search_call tool_search_output "
    "compaction"
)


def unknown_in_models(catalogue: Catalogue) -> list[Unknown]:
    """Return the unknown fields, values, codes and models in a model list, including duplicates."""
    found: list[Unknown] = []
    for model in catalogue:
        found += _in_object(model.raw, "")
        if model.vendor not in _VALUES["vendor"]:
            found.append(_unknown("model", model.id))
        found += [
            _unknown("model message", code)
            for code, _ in notices(model.raw)
            if code and code not in _MODEL_CODES
        ]
        if len(found) > _LIST_LIMIT:
            break
    return found[:_LIST_LIMIT]


def unknown_in_event(api: str, event: Mapping[str, Any]) -> list[Unknown]:
    """Return the unknown names in an event of Copilot's API `api`."""
    kind = event.get("type")
    if api in _EVENTS and isinstance(kind, str):
        if kind not in _EVENTS[api]:
            return [_unknown(f"{api} event", kind)]
        if kind == "content_block_start":
            return _in_type("messages block", event.get("content_block"), _BLOCKS)
        if kind == "response.output_item.added":
            return _in_type("responses item", event.get("item"), _ITEMS)
    elif api == "chat_completions" and not event.keys() <= _CHUNK:
        return [_unknown("chat_completions field", name) for name in event if name not in _CHUNK]
    return []


def unknown_codes(code: str | None) -> list[Unknown]:
    """Return a list with the error code `code` if it is unknown, otherwise an empty list."""
    return [_unknown("error code", code)] if code and not is_known_code(code) else []


def _in_object(value: Mapping[str, Any], path: str) -> Iterator[Unknown]:
    for name, inner in value.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in _FIELDS[path]:
            yield _unknown("model field", where)
        elif where in _VALUES:
            yield from _in_values(inner, where)
        elif where in _FIELDS and isinstance(inner, dict):
            yield from _in_object(inner, where)


def _in_values(value: object, path: str) -> Iterator[Unknown]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one not in _VALUES[path]:
            yield _unknown(f"model {path.rpartition('.')[2]}", one)


def _in_type(kind: str, value: object, known: Iterable[str]) -> list[Unknown]:
    name = value.get("type") if isinstance(value, dict) else None
    return [_unknown(kind, name)] if isinstance(name, str) and name not in known else []


def _unknown(kind: str, name: object) -> Unknown:
    """Return an `Unknown` with `name`, or with a placeholder if it does not look like a name."""
    is_name = isinstance(name, str) and _NAME.fullmatch(name)
    return Unknown(kind, str(name) if is_name else "(not a name)")
