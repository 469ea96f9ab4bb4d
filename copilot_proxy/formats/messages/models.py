"""Anthropic's model objects, made of Copilot's models.

Source: Anthropic's Models API reference, https://platform.claude.com/docs/en/api/models
"""

from collections.abc import Iterable
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.messages.schema import Json

_CREATED: Final = "1970-01-01T00:00:00Z"
"""What Anthropic itself says for a date that is not known; Copilot tells none."""


def model_info(model: Model, *, name: str | None = None) -> Json:
    """The object of `model`; under `name` if it was asked for by an alias."""
    body: Json = {
        "type": "model",
        "id": name or model.id,
        "display_name": model.name,
        "created_at": _CREATED,
        "lifecycle": "active",
    }
    limits = {
        "max_input_tokens": model.limit("max_prompt_tokens"),
        "max_tokens": model.limit("max_output_tokens"),
    }
    body.update({key: value for key, value in limits.items() if value is not None})
    return body


def model_list(models: Iterable[Model]) -> Json:
    """The list of `models`, all on one page."""
    data = [model_info(model) for model in models]
    return {
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
