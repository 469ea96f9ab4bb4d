"""Translates an Ollama chat request to Chat Completions.

The tables at the top list the fields and options that are translated; the others are dropped.
"""

from typing import Any, Final

from copilot_proxy.formats.ollama.messages_to_chat import translate_messages
from copilot_proxy.formats.ollama.output_format import set_format
from copilot_proxy.formats.ollama.request import thinks, without_mark
from copilot_proxy.formats.types import ChatRequest, ClientRequest, Json

_FIELDS: Final = ("model", "messages", "tools", "format", "options", "think", "stream")
"""The fields that are translated."""
_UNNEEDED_FIELDS: Final = ("keep_alive", "truncate", "shift")
"""Fields that concern loading and caching local models; dropped without a note."""
_OPTIONS: Final = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
"""The options with the same name in Chat Completions; ``num_predict`` is also translated."""
_UNNEEDED_OPTIONS: Final = (
    "num_ctx",
    "num_keep",
    "num_batch",
    "num_gpu",
    "num_thread",
    "main_gpu",
    "numa",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "embedding_only",
    "draft_num_predict",
)
"""Options that concern how a local model runs; dropped without a note."""
_DEFAULT_EFFORT: Final = "medium"
"""The effort for ``think: true``."""


def to_chat(request: ClientRequest, notes: list[str]) -> ChatRequest:
    """Return the chat request. Adds a line to `notes` for each change that may matter.

    Raises `RequestError` for an image that is not base64.
    """
    given = {name: value for name, value in without_mark(request).items() if value is not None}
    chat: ChatRequest = {
        "model": given["model"],
        "messages": translate_messages(given["messages"]),
        "stream": given["stream"],
    }
    if tools := given.get("tools"):
        chat["tools"] = [_tool(tool) for tool in tools]
    _set_options(given.get("options") or {}, chat, notes)
    set_format(given.get("format"), chat, notes)
    if (effort := effort_of(given)) is not None:
        chat["reasoning_effort"] = effort
    for name in given:
        if name not in (*_FIELDS, *_UNNEEDED_FIELDS):
            notes.append(f"dropped {name}: Copilot has no equivalent")
    return chat


def effort_of(request: ClientRequest) -> str | None:
    """Return the reasoning effort requested by ``think``, or None if it is not set."""
    think = request.get("think")
    if think is None or think == "":
        return None
    if not thinks(request):
        return "none"
    return _DEFAULT_EFFORT if think in (True, "true") else str(think)


def _tool(tool: Json) -> Json:
    function = {name: value for name, value in tool["function"].items() if value is not None}
    return {"type": "function", "function": function}


def _set_options(options: Json, chat: ChatRequest, notes: list[str]) -> None:
    limit: Any = options.get("num_predict")
    if isinstance(limit, int) and limit > 0:  # other values mean no limit
        chat["max_tokens"] = limit
    for name, value in options.items():
        if value is None or name == "num_predict" or name in _UNNEEDED_OPTIONS:
            continue
        if name not in _OPTIONS:
            notes.append(f"dropped options.{name}: Copilot has no equivalent")
        elif value not in ([], ""):
            chat[name] = value
