"""Parses and validates a client's request."""

from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.completions.schema import CompletionsRequest
from copilot_proxy.formats.request_fields import refuse_fields
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.formats.wrong_api import refuse_foreign_fields

MAX_CONTINUATIONS: Final = 128
"""Maximum number of continuations per request; each one takes a call to Copilot."""
MAX_TOKENS: Final = 2_000_000
"""Maximum number of token ids in all prompts of a request; each is a JSON value to decode."""


def parse_request(body: bytes) -> ClientRequest:
    """Return the decoded and validated request. Raises `RequestError`."""
    request = parse_object(body, MAX_TOKENS)
    if request.get("best_of") in (1, request.get("n")):
        request.pop("best_of", None)
    refuse_foreign_fields("completions", request)
    refuse_fields("completions", request)
    check_shape(request, CompletionsRequest)
    if not request["model"]:
        raise _invalid("model", "The model name is empty.")
    if request.get("max_tokens") == 0:
        raise _invalid(
            "max_tokens",
            "`max_tokens` must be at least 1.",
            hint="Copilot only generates text; it cannot score a prompt (`logprobs`).",
        )
    _check_prompt(request["prompt"])
    n = request.get("n")
    if n is not None and n < 1:
        raise _invalid("n", "`n` must be at least 1.")
    prompts = len(request["prompt"]) if is_list_of_prompts(request["prompt"]) else 1
    if prompts * (n or 1) > MAX_CONTINUATIONS:
        raise _invalid(
            "prompt",
            f"The request asks for {prompts * (n or 1)} continuations; at most "
            f"{MAX_CONTINUATIONS} are allowed, since each is a call to Copilot.",
            hint="Send fewer prompts, or a lower `n`.",
        )
    return request


def _check_prompt(prompt: Any) -> None:
    if not prompt or (isinstance(prompt, list) and not all(one or one == 0 for one in prompt)):
        raise _invalid("prompt", "The prompt is empty.", hint="Send a string or token ids.")
    if isinstance(prompt, list) and len({type(one) for one in prompt}) > 1:
        raise _invalid(
            "prompt",
            "Strings and token ids cannot be mixed in one prompt.",
            hint="Send a string, a list of strings, token ids, or a list of lists of token ids.",
        )


def is_list_of_prompts(prompt: Any) -> bool:
    """Return whether `prompt` is a list of strings, or a list of lists of token ids."""
    return isinstance(prompt, list) and not isinstance(prompt[0], int)


def has_tokens(request: ClientRequest) -> bool:
    """Return whether the prompts of a validated request are token ids rather than strings."""
    prompt = request["prompt"]
    return isinstance(prompt, list) and not isinstance(prompt[0], str)


def _invalid(param: str, message: str, *, hint: str | None = None) -> RequestError:
    return RequestError(message, param=param, code="invalid_value", hint=hint)
