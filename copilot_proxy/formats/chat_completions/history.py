"""Mends a conversation that a model would refuse: calls and results that lost each other.

Interrupted agents leave calls without results and results without calls behind; Copilot refuses
such a conversation, and every later one that carries it along.
"""

from typing import Any, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.chat_completions.schema import Json

NO_RESULT: Final = "(The call was interrupted: there is no result.)"
_ORPHAN: Final = "(Result of an earlier tool call)"
CONTINUE: Final = "Please continue."


def mend_history(messages: list[Json], model: Model | None, notes: list[str]) -> list[Json]:
    """The messages with every call answered right after it, and every result called for.

    For Claude and Gemini neighbouring assistant messages are one, and for Claude the last message
    is never the assistant's. What was mended is added to `notes`.
    """
    mended = _paired(messages, notes)
    vendor = model.vendor if model is not None else ""
    if vendor in ("Anthropic", "Google"):
        mended = _merged(mended, notes)
    if vendor == "Anthropic" and mended and _is_prefill(mended[-1]):
        mended.append({"role": "user", "content": CONTINUE})
        notes.append("added a last user message: the model does not go on from an assistant's")
    return mended


def _paired(messages: list[Json], notes: list[str]) -> list[Json]:
    out: list[Json] = []
    used: set[int] = set()
    for position, message in enumerate(messages):
        if position in used:
            continue
        if message["role"] == "tool":
            notes.append(f"changed messages[{position}]: a tool result that nothing called for")
            out.append(_as_text(message))
            continue
        out.append(message)
        calls = message.get("tool_calls") if message["role"] == "assistant" else None
        if calls:
            _answer(calls, messages, position, used, out, notes)
    return out


def _answer(
    calls: list[Json],
    messages: list[Json],
    position: int,
    used: set[int],
    out: list[Json],
    notes: list[str],
) -> None:
    """Puts the results of `calls` after them, from wherever they stand before the next answer."""
    results: dict[str, int] = {}
    for later in range(position + 1, len(messages)):
        if messages[later]["role"] == "assistant":
            break
        if messages[later]["role"] == "tool" and later not in used:
            results.setdefault(messages[later]["tool_call_id"], later)
    for call in calls:
        found = results.pop(call["id"], None)
        if found is None:
            notes.append(f"added a result for messages[{position}]: a tool call without one")
            out.append({"role": "tool", "tool_call_id": call["id"], "content": NO_RESULT})
        else:
            used.add(found)
            out.append(messages[found])


def _as_text(message: Json) -> Json:
    """A result as something that the person says, so that the model still knows it."""
    content = message["content"]
    if isinstance(content, str):
        return {"role": "user", "content": f"{_ORPHAN}\n{content}"}
    return {"role": "user", "content": [{"type": "text", "text": _ORPHAN}, *content]}


def _merged(messages: list[Json], notes: list[str]) -> list[Json]:
    out: list[Json] = []
    for message in messages:
        if out and message["role"] == out[-1]["role"] == "assistant":
            out[-1] = _joined(out[-1], message)
            notes.append("merged neighbouring assistant messages")
        else:
            out.append(message)
    return out


def _joined(one: Json, other: Json) -> Json:
    joined = {**one, **{name: value for name, value in other.items() if value is not None}}
    # Only the second can have calls: those of the first would be followed by their results.
    joined["content"] = _both(one.get("content"), other.get("content"))
    for name in ("reasoning_content", "reasoning_text"):
        if one.get(name) and other.get(name):
            joined[name] = f"{one[name]}\n{other[name]}"
    return joined


def _both(one: Any, other: Any) -> Any:
    if not one or not other:
        return one or other
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [*_parts(one), *_parts(other)]


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_prefill(message: Json) -> bool:
    return message["role"] == "assistant" and not message.get("tool_calls")
