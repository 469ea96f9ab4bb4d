"""A request as the model takes it on Copilot's Messages API."""

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.api import Fitted
from copilot_proxy.formats.chat_completions.request_to_model import mended
from copilot_proxy.formats.messages.request_from_chat import from_chat
from copilot_proxy.formats.messages.request_repair import prepare
from copilot_proxy.formats.messages.schema import Json


def messages_for_model(
    request: Json, model: Model | None, notes: list[str], *, counting: bool = False
) -> Fitted:
    return Fitted(body=prepare(request, model, notes, counting=counting))


def messages_from_chat(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    chat, names = mended(chat, model, notes)
    return Fitted(body=from_chat(chat, model, notes), tool_names=names._original)
