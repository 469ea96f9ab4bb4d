"""Lets clients use `functions` and `function_call`, the predecessors of `tools`.

The request is converted to the new form when it is parsed, and the answer is converted to the old
form. Calls in the old form have no ids, so each is given an id that depends on its position.
"""

from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError, RequestError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.stop_sequences import STOP_SEQUENCE
from copilot_proxy.formats.types import ChatChunk, ChatCompletion, ChatRequest, ErrorBody, Json

_LEGACY: Final = "legacy_functions"
"""Marks a request whose client expects calls in the old form; removed before sending."""


def read_functions(request: ChatRequest) -> None:
    """Convert a request in the old form to the new form. Raises `RequestError` if it uses both."""
    request.pop(_LEGACY, None)
    functions, choice = request.get("functions"), request.get("function_call")
    messages = request.get("messages")
    if isinstance(messages, list) and any(map(_is_older, messages)):
        request["messages"] = _messages(messages)
    if choice is not None:
        del request["function_call"]
    if functions is None:
        if choice not in (None, "none", "auto"):
            raise _invalid("function_call", "`function_call` needs `functions`.")
        return
    del request["functions"]
    if request.get("tools") is not None:
        raise _invalid("functions", "`functions` and `tools` cannot be used together.")
    if not isinstance(functions, list) or not all(isinstance(one, dict) for one in functions):
        raise _invalid("functions", "Invalid 'functions': must be an array of objects.")
    request[_LEGACY] = True
    request["tools"] = [{"type": "function", "function": one} for one in functions]
    # In the old form, an answer has only one call.
    request["parallel_tool_calls"] = False
    if choice is not None:
        is_name = isinstance(choice, dict)
        request["tool_choice"] = {"type": "function", "function": choice} if is_name else choice


def is_legacy(request: ChatRequest) -> bool:
    """Return whether the client expects calls in the old form."""
    return bool(request.get(_LEGACY))


def without_mark(request: ChatRequest) -> ChatRequest:
    """Return the request without the mark that `read_functions` added."""
    if _LEGACY not in request:
        return request
    return {name: value for name, value in request.items() if name != _LEGACY}


def _is_older(message: Any) -> bool:
    return isinstance(message, dict) and (
        "function_call" in message or message.get("role") == "function"
    )


def _messages(messages: list[Any]) -> list[Any]:
    """Return the messages with calls and results in the new form."""
    rewritten, id = [], "call_0"
    for number, message in enumerate(messages):
        call = message.get("function_call") if isinstance(message, dict) else None
        if isinstance(call, dict) and not message.get("tool_calls"):
            id = f"call_{number}"
            kept = {name: v for name, v in message.items() if name != "function_call"}
            message = {**kept, "tool_calls": [{"id": id, "type": "function", "function": call}]}
        elif isinstance(message, dict) and message.get("role") == "function":
            content = message.get("content")
            message = {
                "role": "tool",
                "tool_call_id": id,
                "content": "" if content is None else content,
            }
        rewritten.append(message)
    return rewritten


def _invalid(param: str, message: str) -> RequestError:
    return RequestError(message, param=param, code="invalid_value", hint="Use `tools` instead.")


class FunctionsWriter:
    """Writes chunks in the old form; implements `ChatWriter`."""

    def feed(self, chunk: ChatChunk) -> list[ChatChunk]:
        """Return the chunk with only the first call, as a `function_call`."""
        choices = [_choice(choice) for choice in chunk["choices"]]
        return [{**chunk, "choices": choices}]

    def close(self) -> list[ChatChunk]:
        """Return an empty list, because no chunk is held back."""
        return []

    def whole(self, events: list[ChatChunk]) -> ChatCompletion:
        """Return the completion assembled from the chunks."""
        completion = completion_from_chunks(map(_with_calls, events))
        for choice in completion["choices"]:
            message = choice["message"]
            if calls := message.pop("tool_calls", None):
                message["function_call"] = calls[0]["function"]
        return completion

    def fail(self, error: CopilotProxyError, request_id: str) -> list[ErrorBody]:
        """Return an error in place of a chunk."""
        return [error_body(error, request_id)]


def _choice(choice: Json) -> Json:
    delta = {name: value for name, value in choice["delta"].items() if name != "tool_calls"}
    parts = [one for one in choice["delta"].get("tool_calls") or () if one["index"] == 0]
    if parts:
        delta["function_call"] = parts[0]["function"]
    finish = choice["finish_reason"]
    finish = "function_call" if finish == "tool_calls" else finish
    kept = {name: value for name, value in choice.items() if name != STOP_SEQUENCE}
    return {**kept, "delta": delta, "finish_reason": finish}


def _with_calls(chunk: ChatChunk) -> ChatChunk:
    """Return a chunk of `FunctionsWriter` in the new form, with `tool_calls`."""
    choices = []
    for choice in chunk["choices"]:
        delta = choice["delta"]
        if "function_call" in delta:
            part = {"index": 0, "id": "", "function": delta["function_call"]}
            delta = {**delta, "tool_calls": [part]}
        choices.append({**choice, "delta": delta})
    return {**chunk, "choices": choices}
