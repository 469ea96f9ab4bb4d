"""The faults of the Copilot API that are error responses: names, descriptions and responses."""

from __future__ import annotations

from . import refusal
from .fault_makers import FaultAnswer, error, text
from .limit_answers import LIMITS
from .refusal import Refusal, copilot

ANSWERS: dict[str, FaultAnswer] = {
    "model_not_supported": FaultAnswer(
        "400: the model is unknown, not in the plan, not enabled, or hidden from this client",
        error(
            400,
            "The requested model is not supported.",
            "model_not_supported",
            param="model",
            type="invalid_request_error",
        ),
    ),
    "unsupported_api_for_model": FaultAnswer(
        "400: the model is served by another endpoint; the value is the model's id",
        lambda value: copilot(
            400,
            f'model "{value or "gpt-5.5"}" is not accessible via the /chat/completions endpoint',
            "unsupported_api_for_model",
        ),
    ),
    "unsupported_api_in_words": FaultAnswer(
        "400: the same, recognizable only by the message; the value is the model's id",
        lambda value: copilot(
            400,
            f"model {value or 'gpt-5.5'} is not accessible via the /chat/completions endpoint",
            "model_not_supported",
            type="invalid_request_error",
        ),
    ),
    "prompt_too_long": FaultAnswer(
        "400: more tokens than the model's max_prompt_tokens",
        error(
            400,
            "prompt token count of 138898 exceeds the limit of 128000",
            "model_max_prompt_tokens_exceeded",
        ),
    ),
    "prompt_too_long_old": FaultAnswer(
        "400: the older form of the same error, with an empty code",
        error(400, "prompt token count of 138898 exceeds the limit of 128000", "", type=""),
    ),
    "prompt_too_long_anthropic": FaultAnswer(
        "400: too many tokens, in the format of Claude's API",
        lambda value: refusal.anthropic(
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "req_vrtx_011CVfault",
        ),
    ),
    "context_length_exceeded": FaultAnswer(
        "400: too many tokens, as the Responses API reports it",
        error(
            400,
            "Your input exceeds the context window of this model. Please adjust your input and "
            "try again.",
            "context_length_exceeded",
        ),
    ),
    "invalid_request_body": FaultAnswer(
        "400: the body violates the schema; the value is another message",
        lambda value: copilot(400, value or "invalid request body", "invalid_request_body"),
    ),
    "invalid_reasoning_effort": FaultAnswer(
        "400: an effort that the model does not offer",
        error(
            400,
            'reasoning_effort "xhigh" is not supported by model gpt-5-mini; '
            "supported values: [low medium high]",
            "invalid_reasoning_effort",
        ),
    ),
    "missing_vision_header": FaultAnswer(
        "400: an image without Copilot-Vision-Request, or vision disabled by an organization",
        error(400, "missing required Copilot-Vision-Request header for vision requests"),
    ),
    "missing_editor_version": FaultAnswer(
        "400: no Editor-Version",
        text(400, "bad request: missing Editor-Version header for IDE auth\n"),
    ),
    "authorization_badly_formatted": FaultAnswer(
        "400: an empty token, or one of the wrong kind",
        text(400, "bad request: Authorization header is badly formatted\n"),
    ),
    "previous_response_not_found": FaultAnswer(
        "400: a previous_response_id; responses are not stored over HTTP",
        error(400, "Previous response not found.", "previous_response_not_found"),
    ),
    "foreign_item_id": FaultAnswer(
        "400 (or the value, such as 401): an item id from another connection was sent back",
        lambda value: copilot(
            int(value or 400), "input item ID does not belong to this connection"
        ),
    ),
    "off_topic": FaultAnswer(
        "400: the intent filter considered the question off topic",
        error(400, "the prompt is off_topic for this endpoint", "off_topic"),
    ),
    "rate_limited_400": FaultAnswer(
        "400: a rate limit that is reported as a bad request",
        error(400, "rate limit exceeded", "rate_limited"),
    ),
    "bad_request": FaultAnswer("400: plain text only", text(400, "Bad Request\n")),
    "token_expired": FaultAnswer(
        "401: the Copilot token has expired",
        text(401, "IDE token expired: unauthorized: token expired\n"),
    ),
    "authentication_failed": FaultAnswer(
        "401: the token is not valid",
        text(401, "unauthorized: unauthorized: AuthenticateToken authentication failed\n"),
    ),
    "authorize_url": FaultAnswer(
        "401: an agent requires a separate authorization",
        lambda value: Refusal(
            401, {"authorize_url": "https://github.com/login/oauth/authorize?client_id=agent"}
        ),
    ),
    "forbidden": FaultAnswer("403: without a reason", text(403, "forbidden\n")),
    "terms_of_service": FaultAnswer(
        "403: abuse was detected, or the integration id is wrong", text(403, refusal.TERMS)
    ),
    "feature_not_authorized": FaultAnswer(
        "403: the feature is disabled by the organization or the plan",
        text(403, "unauthorized: not authorized to use this Copilot feature\n"),
    ),
    "not_found": FaultAnswer("404: JSON with a code", error(404, "Not Found", "not_found")),
    "page_not_found": FaultAnswer("404: no such path", text(404, "404 page not found\n")),
    "misdirected_421": FaultAnswer(
        "421: the token belongs to another API host", text(421, "Misdirected Request\n")
    ),
    "timeout_408": FaultAnswer(
        "408: the request body did not arrive in time",
        error(
            408,
            "Timed out reading request body. Try again, or use a smaller request size.",
            "user_request_timeout",
        ),
    ),
    "too_large_413": FaultAnswer(
        "413: too many bytes, plain text", text(413, "413 Request Entity Too Large\n")
    ),
    "too_large_413_json": FaultAnswer(
        "413: too many bytes, JSON without a code", error(413, "failed to parse request", "")
    ),
    "filtered_422": FaultAnswer(
        "422: blocked by the responsible AI filter",
        error(
            422,
            "The response was filtered due to the prompt triggering the content management policy.",
            "content_filter",
        ),
    ),
    "filtered_415": FaultAnswer(
        "415: the same filter, plain text", text(415, "filtered by responsible AI policy\n")
    ),
    "agent_failed_424": FaultAnswer(
        "424: a dependency of a Copilot agent has failed", text(424, "failed dependency\n")
    ),
    "api_version_466": FaultAnswer(
        "466: Editor-Version or X-GitHub-Api-Version is too old", text(466, refusal.TOO_OLD)
    ),
    "invalid_api_version_404": FaultAnswer(
        "404: a path that this API version does not have", text(404, "invalid apiVersion\n")
    ),
    "cancelled_499": FaultAnswer("499: the server canceled the request", text(499, "")),
    "server_error_500": FaultAnswer("500: plain text", text(500, "Internal Server Error\n")),
    "server_error_500_json": FaultAnswer(
        "500: JSON with a code", error(500, "internal server error", "internal_error")
    ),
    "bad_gateway": FaultAnswer("502: plain text", text(502, "Bad Gateway\n")),
    "bad_gateway_empty": FaultAnswer("502: no body", text(502, "")),
    "bad_gateway_html": FaultAnswer("502: an HTML page", lambda value: refusal.html(502)),
    "unavailable_503": FaultAnswer(
        "503: plain text; the model's vendor rate-limits GitHub",
        text(503, "upstream connect error or disconnect/reset before headers\n"),
    ),
    "gateway_timeout_504": FaultAnswer("504: an HTML page", lambda value: refusal.html(504)),
    "cyber_policy": FaultAnswer(
        "400: a false positive of the misuse detection, seen with codex models",
        error(400, "This request was flagged for possible cybersecurity risk.", "cyber_policy"),
    ),
    "invalid_encrypted_content": FaultAnswer(
        "400: reasoning from another model or account was sent back",
        error(
            400,
            "The encrypted content could not be verified. Reason: Encrypted content could not be "
            "decrypted or parsed.",
            "invalid_encrypted_content",
        ),
    ),
    "overloaded_529": FaultAnswer(
        "529: Claude's backend is overloaded, in the format of Claude's API",
        lambda value: refusal.anthropic(529, "overloaded_error", "Overloaded", "req_011CVfault"),
    ),
    "failed_precondition": FaultAnswer(
        "400: the request reached a backend that does not know one of its fields",
        error(400, "FAILED_PRECONDITION: output_config.format is not supported", 400),
    ),
    **LIMITS,
}
"""Name of a Copilot API fault -> its description and response."""
