"""Refuses or drops request fields that Copilot does not accept, using one table for all models.

A field is refused if dropping it could change the answer without anyone noticing; otherwise, it is
dropped with a note. `tests/sdk_fields.py` compares the table with the vendors' SDKs.

Sources: the API references of OpenAI, Anthropic and Google; Copilot API, observed 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import ClientRequest, Json

_NOT_STORED: Final = "Copilot stores nothing"


@dataclass(frozen=True)
class Dropped:
    """A field that is dropped, and the reason to give in the note."""

    reason: str
    harmless: tuple[Any, ...] = ()
    """Values that request the default behavior, and need no note."""


@dataclass(frozen=True)
class Refused:
    """A field that is refused, and the error's message and hint."""

    message: str
    hint: str
    harmless: tuple[Any, ...] = ()
    """Values that request the default behavior, and are dropped."""
    code: str | None = "unsupported_parameter"
    more: Mapping[str, Json] = field(default_factory=dict)
    """Additional fields of the error object."""


_MODERATION: Final = Refused(
    "Copilot has no moderation that a request can turn on.",
    "Omit `moderation` and check the text in the client.",
)
_RETENTION: Final = Dropped("Copilot decides how long a prompt stays in the cache")
_SAFETY: Final = Dropped("Copilot refuses it")
_NO_PICTURES: Final = Refused(
    "Copilot's models answer with text only.",
    "Omit the fields for image generation.",
    harmless=(0,),
)
_TIER: Final = Dropped("Copilot refuses it", harmless=("auto", "default"))
_ACCOUNT: Final = Dropped("it applies to Anthropic accounts only")

FIELDS: Final[Mapping[str, Mapping[str, Dropped | Refused]]] = {
    "chat_completions": {
        "audio": Dropped("Copilot's models answer with text only"),
        "metadata": Dropped(f"it is for stored responses, and {_NOT_STORED}", harmless=({},)),
        "modalities": Refused(
            "Copilot's models answer with text only.",
            "Omit `modalities` and turn the text into speech with another service.",
            harmless=(["text"], []),
        ),
        "moderation": _MODERATION,
        "prompt_cache_retention": _RETENTION,
        "safety_identifier": _SAFETY,
        "service_tier": _TIER,
        "store": Dropped(_NOT_STORED, harmless=(False,)),
        "web_search_options": Refused(
            "Copilot's models do not search the web.",
            "Omit `web_search_options`, or offer a search function that the client runs.",
        ),
    },
    "completions": {
        "best_of": Refused(
            "Copilot cannot score answers, so it cannot choose the best of several.",
            "Omit `best_of` and use `n` to get more than one continuation.",
            harmless=(1,),
        ),
        "logprobs": Refused(
            "Copilot does not return the probabilities of tokens in this API.",
            "Omit `logprobs`. Evaluations must generate text instead of scoring it.",
        ),
        "suffix": Refused(
            "Copilot's chat models do not fill in text before a suffix.",
            "Omit `suffix` and describe the missing text in the prompt.",
            harmless=("",),
        ),
    },
    "responses": {
        "access_programs": Refused(
            "Copilot has no access programs.",
            "Omit `access_programs`.",
            harmless=({}, {"cyber": "standard"}),
        ),
        "background_options": Dropped("it is for background responses"),
        "image": Dropped("Copilot decides how images are compressed", harmless=({},)),
        "max_tool_calls": Dropped("it limits built-in tools, which Copilot does not run"),
        "metadata": Dropped(
            f"it is only repeated in the response, since {_NOT_STORED}", harmless=({},)
        ),
        "moderation": _MODERATION,
        "prompt_cache_retention": _RETENTION,
        "safety_identifier": _SAFETY,
        "service_tier": _TIER,
        "stream_options": Dropped(
            "streams have no padding", harmless=({}, {"include_obfuscation": False})
        ),
        "top_logprobs": Dropped("Copilot does not return logprobs", harmless=(0,)),
    },
    "gemini": {
        "cachedContent": Refused(
            "Copilot does not store prompts for later requests.",
            "Omit `cachedContent` and send the whole prompt; Copilot caches it automatically.",
        ),
        "labels": Dropped("they are for Google's billing", harmless=({},)),
        "safetySettings": Dropped("GitHub's own filters apply", harmless=([],)),
        "serviceTier": Dropped("Copilot does not support it"),
        "store": Dropped(_NOT_STORED, harmless=(False,)),
    },
    "messages": {
        "billing_policy": Refused(
            "Copilot bills the account that is signed in.",
            "Omit `billing_policy`.",
            harmless=({"type": "billing_policy", "bill_to": "self"},),
        ),
        "compaction": Refused(
            "Copilot does not compact conversations.",
            "Have the model write a summary and send it in place of the messages.",
        ),
        "container": Refused(
            "Copilot has no containers and does not run code or skills.",
            "Omit `container` and offer tools that the client runs.",
        ),
        "diagnostics": Dropped("Copilot does not explain cache misses", harmless=({},)),
        "fallback_credit_token": Dropped("Copilot gives no credit for a retry"),
        "fallbacks": Dropped("Copilot does not try other models", harmless=([],)),
        "inference_geo": Refused(
            "Copilot does not let requests choose where the model runs.",
            "Omit `inference_geo`; the account's GitHub plan decides.",
            harmless=("global",),
        ),
        "mcp_servers": Refused(
            "Copilot does not connect to MCP servers.",
            "Connect the client to them and offer their tools in `tools`.",
            harmless=([],),
        ),
        "service_tier": Dropped("Copilot does not support it", harmless=("auto", "standard_only")),
        "speed": Dropped("Copilot does not support it", harmless=("standard",)),
        "thread": Refused(
            "`thread` is not supported: neither Copilot nor this server stores conversations.",
            "Send the whole conversation in `messages`, without `thread`.",
            code=None,
            # Anthropic's SDKs recognize this error, and then send the entire conversation.
            more={
                "details": {
                    "error_code": "thread_unsupported_request",
                    "unsupported": ["thread"],
                }
            },
        ),
        "user_profile_id": _ACCOUNT,
        "workspace_id": _ACCOUNT,
    },
    "ollama": {
        "context": Refused(
            "This server stores no conversations.",
            "Send the whole conversation to `/api/chat`, without `context`.",
            harmless=([],),
        ),
        "height": _NO_PICTURES,
        "logprobs": Refused(
            "Copilot's answers have no log probabilities in this API.",
            "Omit `logprobs`.",
            harmless=(False,),
        ),
        "raw": Refused(
            "Copilot's models accept conversations, not raw prompts.",
            "Omit `raw` and send the text without prompt template markers.",
            harmless=(False,),
        ),
        "steps": _NO_PICTURES,
        "suffix": Refused(
            "Copilot's chat models do not fill in text before a `suffix`.",
            "In the prompt, ask the model to fill in the missing text.",
            harmless=("",),
        ),
        "template": Dropped("Copilot's models have no prompt template", harmless=("",)),
        "top_logprobs": Dropped("it needs logprobs", harmless=(0,)),
        "width": _NO_PICTURES,
    },
}
"""What to do with each field, by client API."""

_IGNORED_BY_COUNTS: Final = ("compaction",)
"""Refused fields that Anthropic accepts and ignores in requests to count tokens."""


def refuse_fields(api: str, request: ClientRequest, *, counting: bool = False) -> None:
    """Raise `RequestError` if a request of the client API named `api` has a refused field."""
    decisions = FIELDS[api]
    if decisions.keys().isdisjoint(request):
        return
    for name, decision in decisions.items():
        value = request.get(name)
        if value is None or value in decision.harmless or not isinstance(decision, Refused):
            continue
        if counting and name in _IGNORED_BY_COUNTS:
            continue
        raise RequestError(
            decision.message,
            param=name,
            code=decision.code,
            hint=decision.hint,
            extra=decision.more,
        )


def drop_fields(api: str, request: ClientRequest, notes: list[str]) -> ClientRequest:
    """Return the request without the fields in the table.

    Adds a line to `notes` for each dropped field that may matter to the client.
    """
    decisions = FIELDS[api]
    if decisions.keys().isdisjoint(request):
        return request
    for name, decision in decisions.items():
        value = request.get(name)
        if isinstance(decision, Dropped) and value is not None and value not in decision.harmless:
            notes.append(f"dropped {name}: {decision.reason}")
    return {name: value for name, value in request.items() if name not in decisions}
