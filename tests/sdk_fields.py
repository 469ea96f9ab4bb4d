"""``make fields``: what happens to every field and beta that the vendors' SDKs can send.

For each field of the SDKs' own types, a request with it is prepared for a model on each of
Copilot's APIs, and the product itself reports what happens to the field. A field is unknown if no
table of the product names it: neither the schema of the client's API nor `request_fields`.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final, NamedTuple, get_args

import msgspec
from anthropic.types import anthropic_beta_param, message_count_tokens_params, message_create_params
from anthropic.types import beta as anthropic_beta
from openai.types import completion_create_params as old_completion_create_params
from openai.types import embedding_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest
from copilot_proxy.formats.completions.schema import CompletionsRequest
from copilot_proxy.formats.embeddings import EmbeddingsRequest
from copilot_proxy.formats.messages.betas import (
    ALWAYS_ON,
    BETAS,
    DROPPED,
    LONG_CONTEXT,
    select_betas,
    undated,
)
from copilot_proxy.formats.messages.schema import MessagesRequest
from copilot_proxy.formats.request_fields import FIELDS
from copilot_proxy.formats.responses.schema import ResponsesRequest
from copilot_proxy.formats.types import Json
from tests.formats.routes import APIS, claude, model_on, prepared, sent
from tests.formats.rules.asking import body_of

TYPES: Final[dict[str, tuple[Any, ...]]] = {
    "chat_completions": (completion_create_params.CompletionCreateParamsStreaming,),
    "responses": (response_create_params.ResponseCreateParamsStreaming,),
    "messages": (
        message_create_params.MessageCreateParamsStreaming,
        message_count_tokens_params.MessageCountTokensParams,
        anthropic_beta.message_create_params.MessageCreateParamsStreaming,
        anthropic_beta.message_count_tokens_params.MessageCountTokensParams,
    ),
    "embeddings": (embedding_create_params.EmbeddingCreateParams,),
    "completions": (old_completion_create_params.CompletionCreateParamsStreaming,),
}
"""The types of the SDKs' requests, by client API."""

SCHEMAS: Final[dict[str, Any]] = {
    "chat_completions": ChatCompletionRequest,
    "responses": ResponsesRequest,
    "messages": MessagesRequest,
    "embeddings": EmbeddingsRequest,
    "completions": CompletionsRequest,
}
HEADERS: Final = {"betas": "anthropic-beta"}
"""SDK parameters that are headers instead of fields of the body."""

SAMPLES: Final[dict[str, Json]] = {
    "chat_completions": {
        "frequency_penalty": 0.5,
        "logit_bias": {"5": 1},
        "logprobs": True,
        "max_completion_tokens": 99,
        "max_tokens": 99,
        "modalities": ["audio"],
        "n": 2,
        "prediction": {"type": "content", "content": "x"},
        "parallel_tool_calls": False,
        "presence_penalty": 0.5,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"ttl": "30m"},
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "seed": 1,
        "stop": ["x"],
        "stream": True,
        "temperature": 0.5,
        "tool_choice": "none",
        "top_logprobs": 1,
        "top_p": 0.5,
        "user": "me",
        "verbosity": "low",
    },
    "responses": {
        "background": True,
        "context_management": [{"type": "compaction"}],
        "include": ["message.output_text.logprobs"],
        "instructions": "Be brief.",
        "max_output_tokens": 99,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"ttl": "30m"},
        "reasoning": {"effort": "low"},
        "store": True,
        "stream": True,
        "stream_options": {"include_obfuscation": True},
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "tool_choice": "none",
        "top_p": 0.5,
        "truncation": "auto",
        "user": "me",
    },
    "messages": {
        "cache_control": {"type": "ephemeral"},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "max_tokens": 99,
        "metadata": {"user_id": "me"},
        "output_config": {"effort": "low"},
        "stop_sequences": ["x"],
        "stream": True,
        "system": "Be brief.",
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tool_choice": {"type": "none"},
    },
}
"""A value with an effect, for each field that is checked before it is used."""

QUIET: Final = {
    ("chat_completions", "stream_options"): "the server itself adds the token counts",
    ("responses", "store"): "the server itself remembers responses",
    ("messages", "cache_control"): "other models cache prompts by themselves",
}
"""Fields that may be dropped without a note, with the reason."""


class Fate(NamedTuple):
    """What happens to a field."""

    api: str
    field: str
    known: bool
    """Whether a table of the product names it."""
    routes: dict[str, str]
    """What happens, by Copilot's API: ``sent``, ``quiet``, ``lost``, the note or the error."""

    @property
    def lost(self) -> list[str]:
        """Return the APIs on which the field is silently lost."""
        return [route for route, what in self.routes.items() if what == "lost"]


def fields_of(api: str) -> list[str]:
    """Return the fields of the body that the SDKs can send to `api`."""
    names = {name for one in TYPES[api] for name in one.__required_keys__ | one.__optional_keys__}
    return sorted(names - HEADERS.keys())


def is_known(api: str, field: str) -> bool:
    """Return whether a table of the product names the field, or its code refuses it."""
    if field in SCHEMAS[api].__struct_fields__ or field in FIELDS.get(api, {}):
        return True
    if api not in APIS:
        return False
    try:
        APIS[api].parse(msgspec.json.encode({**body_of(api), "model": "m", field: "x"}))
    except RequestError as error:
        return error.param == field
    return False


def models() -> dict[str, Model]:
    """Return a model on each of Copilot's APIs."""
    return {
        "chat_completions": model_on("chat_completions", "gpt-4o", reasoning_effort=["low"]),
        "responses": model_on("responses", "gpt-5.6", reasoning_effort=["low"]),
        "messages": claude("claude-sonnet-4.6", adaptive_thinking=None),
    }


def fates(api: str) -> Iterator[Fate]:
    """Yield the fate of each field that the SDKs can send to `api`."""
    for field in fields_of(api):
        routes = {route: _fate(api, field, model) for route, model in models().items()}
        yield Fate(api, field, is_known(api, field), routes)


def _fate(api: str, field: str, model: Model) -> str:
    base = {"model": model.id, **body_of(api, tool="f")}
    if field in base and field not in SAMPLES[api]:
        return "sent"
    value = SAMPLES[api].get(field, {"type": "new"})
    before = prepared(api, model, base)
    try:
        after = prepared(api, model, {**base, field: value})
    except RequestError as error:
        return f"refused: {error.message}"
    notes = [note for note in after.notes if note not in before.notes]
    if notes:
        return notes[0]
    if before.body != after.body:
        return "sent"
    return "quiet" if (api, field) in QUIET else "lost"


def betas() -> dict[str, str]:
    """Return the fate of each beta that Anthropic's SDK names."""
    (names,) = [get_args(one) for one in get_args(anthropic_beta_param.AnthropicBetaParam)[1:]]
    return {name: _beta(name) for name in sorted(names)}


def _beta(name: str) -> str:
    if name == LONG_CONTEXT:
        return "selects the model's long-context variant"
    if not is_known_beta(name):
        return "UNKNOWN"
    request = sent("messages", claude("claude-sonnet-4.6")).body
    selected, dropped = select_betas([name], request)
    return "sent" if name in selected else f"dropped: {dropped.get(name, 'always on')}"


def is_known_beta(name: str) -> bool:
    """Return whether the product's tables name the beta."""
    known = {beta.name for beta in BETAS} | {LONG_CONTEXT}
    return name in known or undated(name) in DROPPED or undated(name) in ALWAYS_ON


def main() -> int:
    """Print the table; return 1 if a field or beta is unknown or lost."""
    print(f"openai {version('openai')}, anthropic {version('anthropic')}\n")
    failed = False
    for api in APIS:
        for fate in fates(api):
            print(f"{api:18}{fate.field:26}{'' if fate.known else 'UNKNOWN'}")
            for route, what in fate.routes.items():
                print(f"{'':20}{route:18}{what}")
            failed |= not fate.known or bool(fate.lost)
    for name, what in betas().items():
        print(f"{'anthropic-beta':18}{name:44}{what}")
        failed |= what == "UNKNOWN"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
