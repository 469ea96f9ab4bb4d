"""Splits assistant messages that have more tool calls than Copilot accepts per message."""

from copilot_proxy.formats.types import Json


def split_calls(turns: list[Json], max_calls: int) -> list[Json]:
    """Return the messages, split so that none has more than `max_calls` calls.

    In `turns`, the results must directly follow their calls, in the same order. Each new message is
    followed by the results of its own calls. Text and reasoning stay in the first new message.
    """
    split: list[Json] = []
    waiting: list[Json] = []  # calls that are not in a message yet
    left = 0  # results until the next message
    for turn in turns:
        if len(turn.get("tool_calls") or ()) > max_calls:
            waiting, left = turn["tool_calls"][max_calls:], max_calls
            turn = {**turn, "tool_calls": turn["tool_calls"][:max_calls]}
        elif waiting:
            if not left:
                calls, waiting, left = waiting[:max_calls], waiting[max_calls:], max_calls
                split.append({"role": "assistant", "content": None, "tool_calls": calls})
            left -= 1
        split.append(turn)
    return split
