"""X-Initiator follows one rule on all APIs, since some plans charge only for `user`."""

from typing import Any, Final

import pytest

from copilot_proxy.formats.chat_completions import request as chat_completions
from copilot_proxy.formats.gemini import request as gemini
from copilot_proxy.formats.initiator import user_turn
from copilot_proxy.formats.messages import request as messages
from copilot_proxy.formats.ollama import request as ollama
from copilot_proxy.formats.responses import request as responses
from copilot_proxy.formats.types import Json

REMINDER: Final = (
    "<system-reminder>\nThe todo list is empty. Say nothing of it.\n</system-reminder>\n"
)
PIXEL: Final = "iVBORw0KGgo="


def text(words: str) -> Json:
    return {"type": "text", "text": words}


ANSWER: Final = {"role": "assistant", "content": "Hello"}
CHAT_CALL: Final = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
CHAT_RESULT: Final = {"role": "tool", "tool_call_id": "a", "content": "<system-reminder>"}
CHAT_IMAGE: Final = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
CALL: Final = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
RESULT: Final = {"type": "function_call_output", "call_id": "a", "output": "1"}
IMAGE: Final = {"type": "image", "source": {"type": "base64", "data": PIXEL}}
USE: Final = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
USED: Final = {"type": "tool_result", "tool_use_id": "a", "content": "1"}


def user(*content: Any) -> Json:
    """Return a user message with several parts."""
    return {"role": "user", "content": list(content)}


# The messages for each word in a conversation's pattern, as clients of each API send them.
CHAT: Final[dict[str, list[Json]]] = {
    "words": [{"role": "user", "content": "Hi"}],
    "parts": [user(text("Hi"))],
    "image": [user(CHAT_IMAGE)],
    "blank": [{"role": "user", "content": " \n"}],
    "reminder": [user(text(REMINDER), text(""))],
    "words and reminder": [user(text(REMINDER), text("Hi"))],
    "system": [{"role": "system", "content": "Be brief."}],
    "developer": [{"role": "developer", "content": "Be brief."}],
    "answer": [ANSWER],
    "call": [CHAT_CALL],
    "results": [CHAT_RESULT, CHAT_RESULT],
    "results, reminder": [CHAT_RESULT, {"role": "user", "content": REMINDER * 2}],
    "results, blank": [CHAT_RESULT, {"role": "user", "content": ""}],
    "results, words": [CHAT_RESULT, {"role": "user", "content": f"{REMINDER}And now?"}],
    "results, image": [CHAT_RESULT, user(CHAT_IMAGE)],
}
RESPONSES: Final[dict[str, list[Json]]] = {
    "words": [{"role": "user", "content": "Hi"}],
    "parts": [{"type": "message", **user({"type": "input_text", "text": "Hi"})}],
    "image": [user({"type": "input_image", "image_url": "data:image/png;base64,"})],
    "blank": [user({"type": "input_text", "text": ""})],
    "reminder": [user({"type": "input_text", "text": REMINDER})],
    "words and reminder": [{"role": "user", "content": f"{REMINDER}Hi{REMINDER}"}],
    "system": [{"role": "system", "content": "Be brief."}],
    "developer": [{"type": "message", "role": "developer", "content": "Be brief."}],
    "tools": [{"type": "additional_tools", "role": "developer", "tools": []}],
    "answer": [{"type": "reasoning", "summary": []}, {"type": "message", **ANSWER}],
    "call": [CALL],
    "results": [RESULT, {"type": "custom_tool_call_output", "call_id": "b", "output": "1"}],
    "results, reminder": [RESULT, {"role": "user", "content": REMINDER}],
    "results, blank": [RESULT, {"role": "user", "content": ""}],
    "results, words": [RESULT, {"role": "user", "content": "And now?"}],
    "results, image": [RESULT, user({"type": "input_image", "image_url": "data:"})],
}
MESSAGES: Final[dict[str, list[Json]]] = {
    "words": [{"role": "user", "content": "Hi"}],
    "parts": [user(text("Hi"))],
    "image": [user(IMAGE)],
    "blank": [user(text(" "))],
    "reminder": [{"role": "user", "content": REMINDER}],
    "words and reminder": [user(text(f"  {REMINDER}"), text("Hi"), text(REMINDER))],
    "system": [{"role": "system", "content": "Be brief."}],
    "answer": [ANSWER],
    "call": [{"role": "assistant", "content": [USE]}],
    "results": [user(USED, USED)],
    "results, reminder": [user(USED, text(REMINDER * 2), text("\n"))],
    "results, blank": [user(text(""), USED)],
    "results, words": [user(USED, text(REMINDER), text("And now?"))],
    "results, image": [user(USED, IMAGE)],
}


def contents(*parts: Json, role: str = "user") -> list[Json]:
    """Return a message in Gemini's format."""
    return [{"role": role, "parts": list(parts)}]


GEMINI_CALL: Final = {"functionCall": {"name": "f", "args": {}}}
GEMINI_RESULT: Final = {"functionResponse": {"name": "f", "response": {"x": 1}}}
GEMINI_IMAGE: Final = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
GEMINI_WORDS: Final[dict[str, list[Json]]] = {
    "words": [{"parts": [{"text": "Hi"}]}],
    "parts": contents({"text": "Hi"}, {"text": "there"}),
    "image": contents(GEMINI_IMAGE),
    "blank": contents({"text": " "}),
    "reminder": contents({"text": REMINDER}),
    "words and reminder": contents({"text": REMINDER}, {"text": "Hi"}),
    "answer": contents({"text": "Hello"}, role="model"),
    "call": contents(GEMINI_CALL, role="model"),
    "results": contents(GEMINI_RESULT, GEMINI_RESULT),
    "results, reminder": contents(GEMINI_RESULT, {"text": REMINDER}),
    "results, blank": [*contents(GEMINI_RESULT), *contents({"text": ""})],
    "results, words": contents(GEMINI_RESULT, {"text": "And now?"}),
    "results, image": [*contents(GEMINI_RESULT), *contents(GEMINI_IMAGE)],
}
OLLAMA_CALL: Final = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"function": {"name": "f", "arguments": {}}}],
}
OLLAMA_RESULT: Final = {"role": "tool", "content": "1", "tool_name": "f"}
OLLAMA_IMAGE: Final = {"role": "user", "content": "", "images": [PIXEL]}
OLLAMA_WORDS: Final[dict[str, list[Json]]] = {
    "words": [{"role": "user", "content": "Hi"}],
    "image": [OLLAMA_IMAGE],
    "blank": [{"role": "user", "content": " "}],
    "reminder": [{"role": "user", "content": REMINDER}],
    "words and reminder": [{"role": "user", "content": f"{REMINDER}Hi"}],
    "system": [{"role": "system", "content": "Be brief."}],
    "answer": [ANSWER],
    "call": [OLLAMA_CALL],
    "results": [OLLAMA_RESULT, OLLAMA_RESULT],
    "results, reminder": [OLLAMA_RESULT, {"role": "user", "content": REMINDER}],
    "results, blank": [OLLAMA_RESULT, {"role": "user", "content": ""}],
    "results, words": [OLLAMA_RESULT, {"role": "user", "content": "And now?"}],
    "results, image": [OLLAMA_RESULT, OLLAMA_IMAGE],
}

LOOP: Final = ["words", "call", "results"]
TABLE: Final[list[tuple[list[str], str]]] = [
    (["words"], "user"),
    (["parts"], "user"),
    (["image"], "user"),
    (["system", "words"], "user"),
    (["words", "answer", "parts"], "user"),
    (["words", "answer", "image"], "user"),
    ([*LOOP, "words"], "user"),
    ([*LOOP, "answer", "words and reminder"], "user"),
    (["words", "call", "results, words"], "user"),
    (["words", "call", "results, image"], "user"),
    (["words", "answer"], "agent"),
    (["words", "call"], "agent"),
    (LOOP, "agent"),
    ([*LOOP, "call", "results"], "agent"),
    ([*LOOP, "answer"], "agent"),
    # Instructions and lists of tools do not count as turns.
    (["words", "system"], "user"),
    (["words", "developer"], "user"),
    (["words", "tools"], "user"),
    (["words", "developer", "system", "tools"], "user"),
    (["words", "answer", "words", "tools", "developer"], "user"),
    ([*LOOP, "system"], "agent"),
    ([*LOOP, "developer"], "agent"),
    ([*LOOP, "tools"], "agent"),
    (["words", "answer", "system"], "agent"),
    (["system"], "user"),
    (["developer"], "user"),
    (["tools", "developer"], "user"),
    # Reminders that clients add after tool results are not from the user.
    (["words", "call", "results, reminder"], "agent"),
    (["words", "call", "results, blank"], "agent"),
    (["words", "call", "results, reminder", "system"], "agent"),
    ([*LOOP, "reminder"], "agent"),
    ([*LOOP, "blank"], "agent"),
    ([*LOOP, "system", "reminder", "blank"], "agent"),
    # Without tool results, the user must have sent the message.
    (["reminder"], "user"),
    (["blank"], "user"),
    (["words", "reminder"], "user"),
    (["words", "answer", "reminder"], "user"),
    ([*LOOP, "answer", "blank"], "user"),
]


APIS: Final = {
    "chat_completions": CHAT,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "gemini": GEMINI_WORDS,
    "ollama": OLLAMA_WORDS,
}
CASES: Final = [
    (api, shape, expected)
    for api, words in APIS.items()
    for shape, expected in TABLE
    if set(shape) <= set(words)
]


@pytest.mark.parametrize(("api", "shape", "expected"), CASES, ids=str)
def test_the_initiator(api: str, shape: list[str], expected: str) -> None:
    """The initiator is `user` only if the last turn is the user's, on every API."""
    given = [message for word in shape for message in APIS[api][word]]

    if api == "chat_completions":
        who = chat_completions.initiator(given)
    elif api == "responses":
        who = responses.initiator({"model": "m", "input": given})
    elif api == "messages":
        who = messages.initiator({"model": "m", "messages": given})
    elif api == "gemini":
        who = gemini.initiator({"model": "m", "contents": given})
    else:
        who = ollama.initiator({"model": "m", "messages": given})

    assert expected == who


@pytest.mark.parametrize(
    ("words", "turn"),
    [
        ("", "aside"),
        (REMINDER, "aside"),
        ("<system-reminder></system-reminder>" * 3, "aside"),
        ("<system-reminder>", "user"),
        ("</system-reminder>", "user"),
        ("<system-reminder>a</system-reminder>b</system-reminder>", "user"),
        ("What does <system-reminder>x</system-reminder> mean?", "user"),
        ("<SYSTEM-REMINDER>x</SYSTEM-REMINDER>", "user"),
        ("<system-reminder >x</system-reminder>", "user"),
    ],
)
def test_only_complete_reminders_are_ignored(words: str, turn: str) -> None:
    """Any text outside a reminder makes the turn the user's."""
    assert turn == user_turn(words)
    assert turn == user_turn([{"type": "text", "text": words}])


def test_long_texts_take_linear_time() -> None:
    """Text that causes backtracking in regular expressions is still processed in linear time."""
    assert "user" == user_turn("<system-reminder>x</system-reminder>\n" * 20_000 + "y")
    assert "user" == user_turn("<system-reminder>" * 100_000)
