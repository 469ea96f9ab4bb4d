"""A request of chat completions as the model takes it on Copilot's chat API."""

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.api import Fitted
from copilot_proxy.formats.chat_completions.adapt import adapt_request
from copilot_proxy.formats.chat_completions.history import mend_history
from copilot_proxy.formats.chat_completions.schema import Json
from copilot_proxy.formats.chat_completions.tool_names import ToolNames


def mended(chat: Json, model: Model | None, notes: list[str]) -> tuple[Json, ToolNames]:
    names = ToolNames()
    chat = names.shorten(chat, notes)
    return {**chat, "messages": mend_history(chat["messages"], model, notes)}, names


def chat_for_model(chat: Json, model: Model | None, notes: list[str]) -> Fitted:
    chat, names = mended(chat, model, notes)
    body, more = adapt_request(chat, model)
    notes += more
    return Fitted(body=body, tool_names=names._original)
