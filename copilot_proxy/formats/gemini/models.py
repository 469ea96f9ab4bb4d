"""Builds Google's model objects from the catalogue of Copilot's models."""

from collections.abc import Iterable

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.types import Json


def model_object(model: Model, *, name: str | None = None, default: Model | None = None) -> Json:
    """Return the `schema.GeminiModel` for `model`.

    `name` replaces the model's id if the client used an alias. Unknown limits are left out.
    `default` is ignored, because Google's format has no field for it.
    """
    methods = ["embedContent"] if model.type == "embeddings" else ["generateContent", "countTokens"]
    version = model.raw.get("version")
    info: Json = {
        "name": f"models/{name or model.id}",
        "version": version if isinstance(version, str) and version else model.id,
        "displayName": model.name,
        "supportedGenerationMethods": methods,
    }
    limits = {
        "inputTokenLimit": model.limit("max_prompt_tokens"),
        "outputTokenLimit": model.limit("max_output_tokens"),
    }
    return info | {key: value for key, value in limits.items() if value is not None}


def model_list(
    models: Iterable[Model],
    aliases: Iterable[tuple[str, Model]] = (),
    default: Model | None = None,
) -> Json:
    """Return the list of the aliases and the `models`, without models that an alias hides."""
    named = dict(aliases)
    data = [model_object(model, name=name) for name, model in named.items()]
    data += [model_object(model) for model in models if model.id not in named]
    return {"models": data}
