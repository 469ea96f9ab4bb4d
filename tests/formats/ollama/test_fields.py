"""The program handles every field that Ollama's own library can send."""

import pytest
from ollama._types import ChatRequest, EmbeddingsRequest, EmbedRequest, GenerateRequest, Message
from pydantic import BaseModel

from copilot_proxy.formats.ollama import schema
from copilot_proxy.formats.ollama.request_to_chat import _UNNEEDED_FIELDS
from copilot_proxy.formats.request_fields import FIELDS

UNNEEDED = {*_UNNEEDED_FIELDS, "options"}
"""Fields that have no meaning for embeddings."""


@pytest.mark.parametrize(
    ("sdk", "known"),
    [
        (ChatRequest, {*schema.OllamaChatRequest.__struct_fields__, *FIELDS["ollama"]}),
        (GenerateRequest, {*schema.OllamaGenerateRequest.__struct_fields__, *FIELDS["ollama"]}),
        (EmbedRequest, {*schema.OllamaEmbedRequest.__struct_fields__, *UNNEEDED}),
        (EmbeddingsRequest, {*schema.OllamaEmbeddingsRequest.__struct_fields__, *UNNEEDED}),
        (Message, {*schema.OllamaMessage.__struct_fields__}),
    ],
)
def test_every_field_is_known(sdk: type[BaseModel], known: set[str]) -> None:
    """Every field of the library is in a request schema, or in a table of decisions."""
    assert set() == sdk.model_fields.keys() - known


def test_no_row_is_unused() -> None:
    """The table has no field that the library cannot send."""
    sent = ChatRequest.model_fields.keys() | GenerateRequest.model_fields.keys()
    assert set() == FIELDS["ollama"].keys() - sent
