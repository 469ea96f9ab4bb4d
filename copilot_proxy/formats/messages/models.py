"""Builds Anthropic's model objects from the catalogue of Copilot's models.

Source: Anthropic's Models API reference, https://platform.claude.com/docs/en/api/models
"""

from collections.abc import Iterable
from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.types import Json

_CREATED_AT: Final = "1970-01-01T00:00:00Z"
"""Anthropic's value for an unknown date; Copilot's list has no dates."""


def model_info(model: Model, *, name: str | None = None, default: Model | None = None) -> Json:
    """Return the `schema.ModelInfo` for `model`.

    `name` replaces the model's id if the client used an alias. Unknown limits are left out.
    """
    info: Json = {
        "type": "model",
        "id": name or model.id,
        "display_name": model.name,
        "created_at": _CREATED_AT,
        "lifecycle": "active" if model.retirement is None else "deprecated",
    }
    if model.retirement is not None and model.retirement.on is not None:
        info["retires_at"] = f"{model.retirement.on}T00:00:00Z"
    limits = {
        "max_input_tokens": model.limit("max_prompt_tokens"),
        "max_tokens": model.limit("max_output_tokens"),
    }
    info.update({key: value for key, value in limits.items() if value is not None})
    return info


def model_list(
    models: Iterable[Model],
    aliases: Iterable[tuple[str, Model]] = (),
    default: Model | None = None,
) -> Json:
    """Return the list of chat models as a single page.

    `aliases` and `default` are ignored, because Anthropic's list has no place for them.
    """
    data = [model_info(model) for model in models if model.is_chat]
    return {
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
