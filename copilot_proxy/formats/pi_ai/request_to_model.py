"""A hub request for a model that is asked through pi-ai."""

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.chat_completions.outgoing import ChatBody
from copilot_proxy.formats.pi_ai.models import APIS, Json, api_of
from copilot_proxy.formats.pi_ai.request_from_chat import to_pi
from copilot_proxy.formats.profiles import profile_of
from copilot_proxy.formats.rules import Fitted, fit_conversation


def pi_for_model(
    chat: Json, model: Model | None, notes: list[str], now: int | None = None
) -> Fitted:
    """The request for pi-ai, with a note for each change that may matter; `now` is in ms since
    1970. Raises `RequestError`, and `UpstreamError` without a model."""
    if model is None:
        raise UpstreamError(
            "Copilot's list of models cannot be read, and pi-ai cannot do without it.",
            code="upstream_unreachable",
            hint="Try again in a moment.",
        )
    profile = profile_of(model, APIS[api_of(model)])
    fitted = fit_conversation(ChatBody(_copied(chat)), profile, notes)
    return Fitted(to_pi(fitted.body, model, profile, notes, now), fitted.tool_names)


def _copied(chat: Json) -> Json:
    """A copy of the request as deep as rules change it."""
    copied = {**chat, "messages": [_message(message) for message in chat["messages"]]}
    if chat.get("tools"):
        copied["tools"] = [{**t, "function": {**t["function"]}} for t in chat["tools"]]
    return copied


def _message(message: Json) -> Json:
    calls = message.get("tool_calls")
    if not calls:
        return {**message}
    return {**message, "tool_calls": [{**one, "function": _function(one)} for one in calls]}


def _function(call: Json) -> Json:
    function = call["function"]
    return {**function, "arguments": function.get("arguments") or "{}"}
