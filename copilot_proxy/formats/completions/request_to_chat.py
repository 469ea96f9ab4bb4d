"""Splits a Completions request into one chat request for each continuation."""

from collections.abc import Callable
from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.completions.request import has_tokens, is_list_of_prompts
from copilot_proxy.formats.types import ClientRequest

INDEX: Final = "continuation"
"""The field of a split request that holds the continuation's index; it never leaves the program."""
_DECODED: Final = "decoded the prompt's token ids with cl100k_base"
_OWN: Final = ("prompt", "echo", "best_of", "suffix", "logprobs", "n", INDEX)
"""Fields that a chat request does not have, or that have a different meaning there."""


def split_request(
    request: ClientRequest, decode: Callable[[list[int]], str], notes: list[str]
) -> list[ClientRequest]:
    """Split a validated request into a request for each continuation, in index order.

    In the new requests, each prompt is a string; `decode` converts token ids to text. Raises
    `RequestError`.
    """
    prompt = request["prompt"]
    prompts = prompt if is_list_of_prompts(prompt) else [prompt]
    if has_tokens(request):
        prompts = [_text(tokens, decode) for tokens in prompts]
        notes.append(_DECODED)
    n = request.get("n") or 1
    return [
        {**request, "prompt": text, INDEX: position * n + number}
        for position, text in enumerate(prompts)
        for number in range(n)
    ]


def _text(tokens: list[int], decode: Callable[[list[int]], str]) -> str:
    try:
        return decode(tokens)
    except RequestError as error:
        error.param = "prompt"
        raise


def to_chat(request: ClientRequest) -> ClientRequest:
    """Return the chat request for a continuation, with the prompt as a user message."""
    chat = {name: value for name, value in request.items() if name not in _OWN}
    return {**chat, "messages": [{"role": "user", "content": request["prompt"]}]}
