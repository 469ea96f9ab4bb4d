"""Translates a Gemini request to Chat Completions."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.efforts import EFFORTS, effort_of
from copilot_proxy.formats.gemini.contents_to_chat import system_message, translate_contents
from copilot_proxy.formats.gemini.json_schemas import (
    requires_everything,
    to_json_schema,
    with_lower_types,
)
from copilot_proxy.formats.gemini.request import GeminiRequest
from copilot_proxy.formats.gemini.tools import set_tools
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY
from copilot_proxy.formats.rules.schemas import close_schema
from copilot_proxy.formats.types import ChatRequest, Json

_SAME: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
}
"""The parameters that Chat Completions also has -> their names there."""
_TRANSLATED: Final = (
    *_SAME,
    "candidateCount",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
)
_REASONS: Final[Mapping[str, str]] = {
    "topK": "Copilot has no equivalent",
    "responseLogprobs": "the answer has no logprobs",
    "logprobs": "the answer has no logprobs",
    "mediaResolution": "the model chooses the resolution of images",
    "speechConfig": "Copilot's models answer with text only",
    "imageConfig": "Copilot's models answer with text only",
}
"""Parameter -> why it is dropped; the default reason is that Copilot does not support it."""
_FIELDS: Final = (
    "model",
    "stream",
    "jsonArray",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
)
WRAPPED: Final = "value"
"""The property that holds the answer, if the client's schema does not describe an object."""
_DEFINITIONS: Final = ("$defs", "definitions")
_UNSPECIFIED: Final = "THINKING_LEVEL_UNSPECIFIED"


def to_chat(request: GeminiRequest, notes: list[str]) -> ChatRequest:
    """Return the chat request for `request`, which must come from `request.parse_call`.

    Adds a line to `notes` for each change that may matter. Raises `RequestError`.
    """
    config = generation_config(request)
    messages = translate_contents(request["contents"], notes)
    if not messages:
        raise RequestError("The contents contain nothing to answer.", param="contents")
    chat: ChatRequest = {"model": request["model"], "stream": request["stream"]}
    chat["messages"] = [*system_message(request.get("systemInstruction")), *messages]
    for name, value in config.items():
        if name in _SAME:
            chat[_SAME[name]] = value
        elif name not in _TRANSLATED:
            reason = _REASONS.get(name, "Copilot does not support it")
            notes.append(f"dropped generationConfig.{name[:50]}: {reason}")
    notes += [
        f"dropped {name[:50]}: Copilot does not support it"
        for name, value in request.items()
        if name not in _FIELDS and value is not None
    ]
    if (count := config.get("candidateCount", 1)) != 1:
        raise RequestError(
            f"Copilot returns one candidate per request, not {count}.",
            param="generationConfig.candidateCount",
            code="unsupported_value",
            hint="Send the request several times.",
        )
    _check_modalities(config)
    set_tools(request, chat, notes)
    if (wanted := effort(config)) is not None:
        chat["reasoning_effort"] = wanted
    chat[REASONING_SUMMARY] = "auto" if shows_thoughts(request) else "none"
    _set_format(config, chat)
    return chat


def generation_config(request: GeminiRequest) -> Json:
    """Return the parameters that the request sets."""
    config = request.get("generationConfig") or {}
    return {name: value for name, value in config.items() if value is not None}


def _check_modalities(config: Json) -> None:
    modalities = [str(one).upper() for one in config.get("responseModalities", ())]
    if any(one not in ("TEXT", "MODALITY_UNSPECIFIED") for one in modalities):
        raise RequestError(
            "Copilot's models answer with text only.",
            param="generationConfig.responseModalities",
            code="unsupported_value",
            hint="Omit `responseModalities`.",
        )


def effort(config: Json) -> str | None:
    """Return the reasoning effort of a thinking config, or None to let the model decide.

    The effort is the config's level, or the effort closest to its budget. Raises `RequestError`.
    """
    thinking = config.get("thinkingConfig") or {}
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level and level.upper() != _UNSPECIFIED:
        if level.lower() not in EFFORTS:
            raise RequestError(
                f"Unknown thinking level {level[:50]!r}.",
                param="generationConfig.thinkingConfig.thinkingLevel",
                code="invalid_value",
                hint="Use MINIMAL, LOW, MEDIUM or HIGH.",
            )
        return str(level.lower())
    if budget is None or budget < 0:
        return None
    return effort_of(budget) if budget else "none"


def shows_thoughts(request: GeminiRequest) -> bool:
    """Return whether the client wants to see the model's reasoning."""
    return (generation_config(request).get("thinkingConfig") or {}).get("includeThoughts") is True


def output_schema(config: Json) -> Json | None:
    """Return the JSON schema of the answer, or None for a text answer.

    An empty schema allows any JSON.

    Raises `RequestError` for a type of answer that Copilot does not support.
    """
    kind = str(config.get("responseMimeType") or "text/plain").lower()
    given: Any = config.get("responseJsonSchema")
    if isinstance(config.get("responseSchema"), dict):
        schema = to_json_schema(config["responseSchema"])
    else:
        schema = with_lower_types(given) if isinstance(given, dict) else {}
    if kind == "text/plain":
        if schema:
            raise RequestError(
                "A response schema requires the type application/json.",
                param="generationConfig.responseMimeType",
                code="invalid_value",
                hint='Set `responseMimeType` to "application/json".',
            )
        return None
    if kind != "application/json":
        raise RequestError(
            f"Copilot does not support answers of the type {kind[:50]!r}.",
            param="generationConfig.responseMimeType",
            code="unsupported_value",
            hint="Use application/json, with a property for the value.",
        )
    return schema


def is_wrapped(schema: Json | None) -> bool:
    """Return whether the answer must be wrapped in an object: structured output is always an
    object."""
    return bool(schema) and (schema or {}).get("type") not in (None, "object")


def _set_format(config: Json, chat: ChatRequest) -> None:
    schema = output_schema(config)
    if schema is None:
        return
    if not schema:
        chat["response_format"] = {"type": "json_object"}
        return
    if is_wrapped(schema):
        definitions: Json = {name: schema[name] for name in _DEFINITIONS if name in schema}
        inner = {name: value for name, value in schema.items() if name not in definitions}
        schema = {
            **definitions,
            "type": "object",
            "properties": {WRAPPED: inner},
            "required": [WRAPPED],
        }
    strict = requires_everything(schema)
    schema = close_schema(schema) if strict else schema
    chat["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }
