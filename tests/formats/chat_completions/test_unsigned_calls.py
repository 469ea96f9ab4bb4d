"""Calls made by another model in the current turn, for a model that requires its own signatures."""

from copilot_proxy.formats.chat_completions.unsigned_calls import replace_unsigned_calls
from copilot_proxy.formats.types import Json

USER: Json = {"role": "user", "content": "Read both."}


def called(*ids: str, text: str | None = None, opaque: str | None = None) -> Json:
    function = {"name": "read", "arguments": '{"path":"a"}'}
    calls = [{"id": id, "type": "function", "function": function} for id in ids]
    signed = {"reasoning_opaque": opaque} if opaque else {}
    return {"role": "assistant", "content": text, "tool_calls": calls, **signed}


def result(id: str, content: str | list[Json] = "done") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def test_signed_and_old_calls_are_kept() -> None:
    """The model's own calls stay calls, as do calls before the last user message."""
    turns = [USER, called("a"), result("a"), USER, called("b", opaque="sig"), result("b")]

    assert turns is replace_unsigned_calls(turns)


def test_each_call_becomes_a_text_with_its_result() -> None:
    """Parallel calls, text next to them and the parts of a result are all kept, in order."""
    parts = [{"type": "text", "text": "two"}]
    turns = [USER, called("a", "b", text="Both."), result("a", "one"), result("b", parts)]

    replaced = replace_unsigned_calls([*turns, called("c", opaque="sig"), result("c")])

    label = '(Earlier tool call: read {"path":"a"})\nIts result:'
    assert replaced == [
        USER,
        {"role": "assistant", "content": "Both."},
        {"role": "user", "content": f"{label}\none"},
        {"role": "user", "content": [{"type": "text", "text": label}, *parts]},
        called("c", opaque="sig"),
        result("c"),
    ]
