"""Converts tool calls without a signature to text, for models that only accept their own calls.

Such models refuse calls made by other models, but only in the current turn, which starts after the
last user message.
"""

from copilot_proxy.formats.types import Json


def replace_unsigned_calls(turns: list[Json]) -> list[Json]:
    """Return the messages with each unsigned call in the current turn, and its result, as text.

    Every result must directly follow its call. The two become a single user message, because a
    model that sees calls as text in its own messages may imitate them. If there is nothing to
    replace, `turns` itself is returned.
    """
    start = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=-1) + 1
    if not any(_is_unsigned(turn) for turn in turns[start:]):
        return turns
    replaced = turns[:start]
    calls: dict[str, Json] = {}
    for turn in turns[start:]:
        if _is_unsigned(turn):
            calls = {call["id"]: call["function"] for call in turn["tool_calls"]}
            if turn.get("content"):
                replaced.append({k: v for k, v in turn.items() if k != "tool_calls"})
        elif turn["role"] == "tool" and turn["tool_call_id"] in calls:
            replaced.append(_text(calls[turn["tool_call_id"]], turn["content"]))
        else:
            calls = {}
            replaced.append(turn)
    return replaced


def _is_unsigned(turn: Json) -> bool:
    calls = turn.get("tool_calls")
    if not calls or turn.get("reasoning_opaque"):
        return False
    return not any(call["function"].get("thought_signature") for call in calls)


def _text(function: Json, result: str | list[Json]) -> Json:
    """Return a user message that describes a call and its result."""
    label = f"(Earlier tool call: {function['name']} {function['arguments']})\nIts result:"
    if isinstance(result, str):
        return {"role": "user", "content": f"{label}\n{result}"}
    return {"role": "user", "content": [{"type": "text", "text": label}, *result]}
