"""OpenAI's objects as JSON schemas that allow no fields except documented extensions."""

from typing import Any

from jsonschema import Draft202012Validator

from copilot_proxy.formats.types import Json


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = {"type": "string"}
ID = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
FINISH = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}
REASONING = {"reasoning_content": TEXT, "reasoning_opaque": TEXT}

LOGPROBS = _object(
    {
        "content": _or_null({"type": "array", "items": {"type": "object"}}),
        "refusal": _or_null({"type": "array", "items": {"type": "object"}}),
    }
)
USAGE = _object(
    {
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": _object(
            {"cached_tokens": COUNT, "audio_tokens": COUNT},
            {"cache_creation_input_tokens": COUNT},
        ),
        "completion_tokens_details": _object(
            {
                "reasoning_tokens": COUNT,
                "audio_tokens": COUNT,
                "accepted_prediction_tokens": COUNT,
                "rejected_prediction_tokens": COUNT,
            }
        ),
    }
)
ENDS = {"system_fingerprint": TEXT, "service_tier": TEXT, "copilot_usage": {"type": "object"}}

TOOL_CALL = _object(
    {
        "id": ID,
        "type": {"const": "function"},
        "function": _object({"name": TEXT, "arguments": TEXT}),
    }
)
CUSTOM_CALL = _object(
    {
        "id": ID,
        "type": {"const": "custom"},
        "custom": _object({"name": TEXT, "input": TEXT}),
    }
)
MESSAGE = _object(
    {"role": {"const": "assistant"}, "content": _or_null(TEXT), "refusal": _or_null(TEXT)},
    {
        "tool_calls": {
            "type": "array",
            "items": {"anyOf": [TOOL_CALL, CUSTOM_CALL]},
            "minItems": 1,
        },
        **REASONING,
    },
)
CHOICE = _object(
    {
        "index": {"const": 0},
        "message": MESSAGE,
        "finish_reason": FINISH,
        "logprobs": _or_null(LOGPROBS),
    }
)
COMPLETION = _object(
    {
        "id": ID,
        "object": {"const": "chat.completion"},
        "created": COUNT,
        "model": TEXT,
        "choices": {"type": "array", "items": CHOICE, "minItems": 1, "maxItems": 1},
    },
    {"usage": USAGE, **ENDS},
)

FIRST_CALL_DELTA = _object(
    {
        "index": COUNT,
        "id": ID,
        "type": {"const": "function"},
        "function": _object({"name": TEXT, "arguments": TEXT}),
    }
)
FIRST_CUSTOM_DELTA = _object(
    {
        "index": COUNT,
        "id": ID,
        "type": {"const": "custom"},
        "custom": _object({"name": TEXT, "input": TEXT}),
    }
)
NEXT_CUSTOM_DELTA = _object({"index": COUNT, "custom": _object({"input": ID})})
NEXT_CALL_DELTA = _object({"index": COUNT, "function": _object({"arguments": ID})})
DELTA = _object(
    {},
    {
        "role": {"const": "assistant"},
        "content": TEXT,
        "refusal": TEXT,
        "tool_calls": {
            "type": "array",
            "items": {
                "anyOf": [
                    FIRST_CALL_DELTA,
                    NEXT_CALL_DELTA,
                    FIRST_CUSTOM_DELTA,
                    NEXT_CUSTOM_DELTA,
                ]
            },
            "minItems": 1,
        },
        **REASONING,
    },
)
CHUNK_CHOICE = _object(
    {
        "index": {"const": 0},
        "delta": DELTA,
        "finish_reason": _or_null(FINISH),
        "logprobs": _or_null(LOGPROBS),
    }
)
CHUNK = _object(
    {
        "id": ID,
        "object": {"const": "chat.completion.chunk"},
        "created": COUNT,
        "model": TEXT,
        "choices": {"type": "array", "items": CHUNK_CHOICE, "maxItems": 1},
    },
    {"usage": _or_null(USAGE), **ENDS},
)

ERROR = _object(
    {
        "error": _object(
            {
                "message": TEXT,
                "type": TEXT,
                "param": _or_null(TEXT),
                "code": _or_null(TEXT),
                "request_id": TEXT,
            },
            {"hint": TEXT, "upstream": {"type": "object"}},
        )
    }
)

check_completion = Draft202012Validator(COMPLETION).validate
check_chunk = Draft202012Validator(CHUNK).validate
check_error = Draft202012Validator(ERROR).validate
