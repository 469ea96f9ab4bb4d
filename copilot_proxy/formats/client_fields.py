"""The names that fields have in the client's API, so that notes use the names that it sent.

A translated request keeps the names in a field that never leaves the program.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

CLIENT_FIELDS: Final = "client_fields"
"""The field of a translated request that holds the client's field names."""


class ClientFields(NamedTuple):
    """The names of fields that differ between APIs; the defaults are those of Chat Completions."""

    effort: str = "reasoning_effort"
    """The field that the reasoning effort was taken from."""
    effort_value: object = None
    """The client's value of the `effort` field, if it had to be converted to an effort."""
    limit: str | None = None
    """The field with the output limit; None if it has the same name as in the body for Copilot."""
    output_format: str = "response_format"
    """The field with the output format."""
    conversation: str = "messages"
    """The field with the conversation."""
    stop: str = "stop"
    """The field with the stop sequences."""
    is_chat: bool = True
    """Whether the client speaks Chat Completions."""
    others: Mapping[str, str] = MappingProxyType({})
    """Chat Completions name -> the client's name, for all other fields with different names."""

    def shown(self, name: str) -> str:
        """Return the client's name for a field of Chat Completions that has no attribute here."""
        return self.others.get(name, name)


CHAT_FIELDS: Final = ClientFields()
RESPONSES_FIELDS: Final = ClientFields(
    "reasoning.effort",
    None,
    "max_output_tokens",
    "text.format",
    "input",
    is_chat=False,
    others={"verbosity": "text.verbosity"},
)
MESSAGES_FIELDS: Final = ClientFields(
    "output_config.effort",
    None,
    "max_tokens",
    "output_config.format",
    stop="stop_sequences",
    is_chat=False,
    others={"user": "metadata.user_id"},
)
GEMINI_FIELDS: Final = ClientFields(
    "generationConfig.thinkingConfig.thinkingLevel",
    None,
    "generationConfig.maxOutputTokens",
    "generationConfig.responseSchema",
    "contents",
    "generationConfig.stopSequences",
    is_chat=False,
    others={
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "seed": "generationConfig.seed",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "presence_penalty": "generationConfig.presencePenalty",
    },
)
OLLAMA_FIELDS: Final = ClientFields(
    "think",
    None,
    "options.num_predict",
    "format",
    "messages",
    "options.stop",
    is_chat=False,
    others={
        name: f"options.{name}"
        for name in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
    },
)


def take_fields(chat: dict[str, Any]) -> ClientFields:
    """Remove the client's names from `chat`, a copy of a chat request, and return them."""
    fields = chat.pop(CLIENT_FIELDS, None)
    return fields if isinstance(fields, ClientFields) else ClientFields()
