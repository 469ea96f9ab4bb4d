"""A request as the model takes it on Copilot's Responses API."""

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.api import Fitted
from copilot_proxy.formats.chat_completions.request_to_model import mended
from copilot_proxy.formats.responses.request_from_chat import from_chat
from copilot_proxy.formats.responses.request_repair import prepare
from copilot_proxy.formats.responses.schema import Json


def responses_for_model(request: Json, model: Model | None, notes: list[str]) -> Fitted:
    return Fitted(body=prepare(request, model, notes))


def responses_from_chat(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    chat, names = mended(chat, model, notes)
    return Fitted(body=from_chat(chat, model, notes), tool_names=names._original)
