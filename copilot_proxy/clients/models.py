"""Reads the server's model list, for the configuration of clients.

The list is the response to ``GET /v1/models``, whose entries are `formats.models.ModelObject`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Api = Literal["chat", "responses", "messages", "gemini"]
_PATHS: Final[Mapping[str, Api]] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/v1/messages": "messages",
}


@dataclass(frozen=True)
class ClientModel:
    """A chat model. Sizes are in tokens; unknown sizes are None."""

    id: str
    name: str
    apis: tuple[Api, ...] = ()
    """The APIs on which Copilot serves the model without translation."""
    context: int | None = None
    prompt: int | None = None
    output: int | None = None
    vision: bool = False
    efforts: tuple[str, ...] = ()
    """The reasoning efforts that the model accepts."""
    adaptive: bool = False
    """Whether this is a Claude model that decides for itself how long to think."""

    @property
    def modalities(self) -> list[str]:
        """The types of content that a prompt may contain."""
        return ["text", "image"] if self.vision else ["text"]

    @property
    def input(self) -> int | None:
        """The maximum length of a prompt in tokens."""
        return self.prompt or self.context


def parse_models(body: object) -> list[ClientModel]:
    """Return the usable chat models in the list, in the same order."""
    data = body.get("data") if isinstance(body, Mapping) else None
    entries = data if isinstance(data, list) else []
    return [
        model
        for entry in entries
        if isinstance(entry, Mapping)
        and entry.get("type") == "chat"
        and entry.get("state") == "enabled"
        and (model := parse_model(entry))
    ]


def parse_model(entry: Mapping[str, Any]) -> ClientModel | None:
    """Return a model from its list entry, or None if it has no id."""
    model_id = entry.get("id")
    if not isinstance(model_id, str):
        return None
    endpoints, inputs = entry.get("supported_endpoints"), entry.get("input_modalities")
    capabilities = entry.get("capabilities")
    supports = capabilities if isinstance(capabilities, Mapping) else {}
    efforts = supports.get("reasoning_effort")
    return ClientModel(
        id=model_id,
        name=str(entry.get("name") or model_id),
        apis=tuple(_PATHS[path] for path in endpoints or () if path in _PATHS),
        context=entry.get("context_length"),
        prompt=entry.get("max_prompt_tokens"),
        output=entry.get("max_output_tokens"),
        vision="image" in (inputs or ()),
        efforts=tuple(efforts) if isinstance(efforts, list) else (),
        adaptive=supports.get("adaptive_thinking") is True,
    )
