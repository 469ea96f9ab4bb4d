"""Converts Copilot's models to OpenAI's model objects.

Clients such as Open WebUI, LiteLLM and Zed read the fields that OpenAI does not define. Source of
the format: https://platform.openai.com/docs/api-reference/models/object
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from copilot_proxy.catalogue import CHAT_COMPLETIONS_PATH, EMBEDDINGS_PATH, ENABLE_URL, Model
from copilot_proxy.formats.types import Json

_CREATED: Final = 1_700_000_000
"""A Unix time. The field is required, but Copilot's list contains no dates."""


class ModelObject(Struct):
    """A model; limits are in tokens. The `state` is ``needs_enabling`` until the model is enabled.

    `deprecated` is set if GitHub has announced the model's retirement; `retires_on` is the date,
    such as ``2026-12-14``. `default` is set if this model answers requests for ``default``.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    name: str
    type: str
    state: Literal["enabled", "needs_enabling"]
    supported_endpoints: list[str]
    input_modalities: list[str]
    output_modalities: list[str]
    context_length: int | None = None
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: Json | None = None
    billing: Json | None = None
    enable_url: str | None = None
    default: bool = False
    deprecated: bool = False
    retires_on: str | None = None
    deprecation_message: str | None = None


class ModelList(Struct):
    """The models of the account."""

    object: Literal["list"]
    data: list[ModelObject]


def model_object(model: Model, *, name: str | None = None, default: Model | None = None) -> Json:
    """Return the object for `model`, with the id `name` if the request used an alias.

    `default` is the model that ``default`` refers to.
    """
    body: Json = {
        "id": name or model.id,
        "object": "model",
        "created": _CREATED,
        "owned_by": model.vendor,
        "name": model.name,
        "type": model.type,
        "state": "needs_enabling" if model.needs_enabling else "enabled",
        "supported_endpoints": list(model.endpoints) or _default_endpoints(model),
        "input_modalities": _input_modalities(model),
        "output_modalities": ["embeddings"] if model.type == "embeddings" else ["text"],
    }
    limits = {
        "context_length": model.limit("max_context_window_tokens"),
        "max_prompt_tokens": model.limit("max_prompt_tokens"),
        "max_output_tokens": model.limit("max_output_tokens"),
    }
    body.update({key: value for key, value in limits.items() if value is not None})
    if model.supports:
        body["capabilities"] = dict(model.supports)
    if isinstance(model.raw.get("billing"), dict):
        body["billing"] = model.raw["billing"]
    if name is not None and name != model.id:
        body["resolved_id"] = model.id
    if model.needs_enabling:
        body["enable_url"] = ENABLE_URL
    if model is default:
        body["default"] = True
    return body | _retirement(model)


def _retirement(model: Model) -> Json:
    if (notice := model.retirement) is None:
        return {}
    fields = {
        "deprecated": True,
        "retires_on": notice.on and notice.on.isoformat(),
        "deprecation_message": notice.message,
    }
    return {name: value for name, value in fields.items() if value}


def model_list(
    models: Iterable[Model],
    aliases: Iterable[tuple[str, Model]] = (),
    default: Model | None = None,
) -> Json:
    """Return the list object with the aliases and the `models`, without models that an alias hides.

    `default` is the model that ``default`` refers to.
    """
    named = dict(aliases)
    data = [model_object(model, name=name, default=default) for name, model in named.items()]
    data += [model_object(model, default=default) for model in models if model.id not in named]
    return {"object": "list", "data": data}


def _default_endpoints(model: Model) -> list[str]:
    return [EMBEDDINGS_PATH if model.type == "embeddings" else CHAT_COMPLETIONS_PATH]


def _input_modalities(model: Model) -> list[str]:
    return ["text", "image"] if model.supports.get("vision") is True else ["text"]
