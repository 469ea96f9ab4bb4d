"""Agent conversations in each API's format, both common and unusual."""

import base64
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(30)).decode()
USER: Any = {"role": "user", "content": "Go on."}
PARTS: Any = {"role": "user", "content": [{"type": "text", "text": "a"}]}
MARK: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
MARKED: Any = {"type": "text", "text": "a", **MARK}
PICTURE: Any = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}


def chat_pair(
    id: str = "call_1",
    name: str = "read",
    call: Any = "{}",
    output: Any = "  1",
    mark: Any = MappingProxyType({}),
    **more: Any,
) -> list[Any]:
    """Return a call and its result, in a chat request; the call may have a `mark`."""
    function = {"name": name, "arguments": call}
    calls = [{"id": id, "type": "function", "function": function, **mark}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls, **more},
        {"role": "tool", "tool_call_id": id, "content": output},
    ]


def messages_pair(
    id: str = "call_1", name: str = "read", call: Any = None, thought: Any = None, **more: Any
) -> list[Any]:
    """Return a call and its result, in a Messages request."""
    use = {"type": "tool_use", "id": id, "name": name, "input": {} if call is None else call}
    result = {"type": "tool_result", "tool_use_id": id, "content": "  1", **more}
    return [
        {"role": "assistant", "content": [*([thought] if thought else ()), use]},
        {"role": "user", "content": [result]},
    ]


def responses_pair(
    id: str = "call_1", name: str = "read", call: Any = "{}", kind: str = "function", **more: Any
) -> list[Any]:
    """Return a call and its result, in a Responses request."""
    custom = kind == "custom"
    given = {"type": "custom_tool_call", "input": call} if custom else {"arguments": call}
    result = {"type": f"{'custom_tool' if custom else kind}_call_output", "output": "  1"}
    return [
        {"type": "function_call", "id": "fc_1", "call_id": id, "name": name, **given, **more},
        {"id": "fco_1", "call_id": id, **result},
    ]


def thought(signature: str, text: str = "hm") -> Any:
    """Return a thinking block as Claude sends it."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def reasoning(content: Any, **more: Any) -> Any:
    """Return reasoning as Codex sends it."""
    return {
        "type": "reasoning",
        "id": "rs_1",
        "encrypted_content": content,
        "content": None,
        **more,
    }


def image(media_type: str = "image/png") -> Any:
    """Return an image in a Messages request."""
    source = {"type": "base64", "media_type": media_type, "data": PNG}
    return {"type": "image", "source": source}


def photo(media_type: str = "image/png", **more: Any) -> Any:
    """Return an image in a chat request."""
    url = f"data:{media_type};base64,{PNG}"
    return {"type": "image_url", "image_url": {"url": url, **more}}


def shared(pair: Callable[..., list[Any]], invalid: Any) -> dict[str, list[Any]]:
    """Return the conversations that all APIs can express."""
    return {
        "plain": [USER, *pair(), *pair("call_2"), USER],
        "blank": [{"role": "user", "content": " "}, *pair(), USER],
        "interrupted": [USER, pair()[0], USER],
        "swapped": [USER, *reversed(pair()), USER],
        "twice": [USER, *pair(), *pair(), USER],
        "id": [USER, *pair("call 1"), USER],
        "long id": [USER, *pair("x" * 70), USER],
        "name": [USER, *pair(name="a b"), USER],
        "invalid": [USER, *pair(call=invalid), USER],
        "order": [
            *pair(),
            {"role": "assistant", "content": "a"},
            {"role": "assistant", "content": "b"},
        ],
        "unknown": [USER, pair()[0], {**pair()[1], "mine": 1}, USER],
    }


CHAT: dict[str, list[Any]] = {
    **shared(chat_pair, '{"a"'),
    "system": [{"role": "system", "content": "Be brief."}, USER],
    "later system messages": [
        *(USER, {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "a"}),
        *(USER, {"role": "developer", "content": "Be kind."}, USER),
    ],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "empty": [USER, *chat_pair(content=""), PARTS],
    "nothing": [USER, {"role": "assistant", "content": ""}, USER],
    "no object": [USER, *chat_pair(call="[1]"), USER],
    "no type": [{"role": "user", "content": [{"text": "a"}]}, USER],
    "no type of a system text": [{"role": "system", "content": [{"text": "a"}]}, USER],
    "parts": [{**PARTS, "role": "system"}, USER, *chat_pair(output=PARTS["content"]), USER],
    "no parts": [USER, *chat_pair(output=[]), USER],
    "blank part": [USER, *chat_pair(output=[{"type": "text", "text": " "}]), USER],
    "marks": [{**PARTS, **MARK}, *chat_pair(mark=MARK, **MARK), {**USER, **MARK}],
    "marked part": [USER, {"role": "user", "content": [MARKED]}],
    "image": [{"role": "user", "content": [photo(), *PARTS["content"]]}, *chat_pair(), USER],
    "detail": [{"role": "user", "content": [photo(detail="original")]}],
    "image of a result": [USER, *chat_pair(output=[photo()]), USER],
    "wrong type": [{"role": "user", "content": [photo("image/jpeg")]}],
    "no image": [{"role": "user", "content": [photo("text/plain")]}],
    "many images": [{"role": "user", "content": [photo()] * 25}, *chat_pair(), USER],
    "reasoning": [USER, *chat_pair(reasoning_opaque="responses:x", reasoning_text="x"), USER],
}
CLAUDE: dict[str, list[Any]] = {
    **shared(messages_pair, [1]),
    "system": [USER, {"role": "system", "content": "a", "output_config": {"effort": "low"}}, USER],
    "first": [{"role": "system", "content": "a"}, USER],
    "system messages": [USER, {"role": "system", "content": "a"}] * 2,
    "consecutive system messages": [USER, *[{"role": "system", "content": "a"}] * 2],
    "system after an answer": [
        *(USER, {"role": "assistant", "content": "a"}, {"role": "system", "content": "b"}),
        USER,
    ],
    "no type": [USER, {"role": "system", "content": [{"text": "a"}]}, USER],
    "image of the system": [USER, {"role": "system", "content": [image()]}, USER],
    "marks": [PARTS, *messages_pair(**MARK), {"role": "user", "content": [MARKED]}],
    "many marks": [turn for number in range(6) for turn in messages_pair(f"c{number}", **MARK)],
    "nested mark": [USER, *messages_pair(content=[MARKED])],
    "no output": [USER, *messages_pair(content="", is_error=True)],
    "blank output": [USER, *messages_pair(content="\n"), USER],
    "image": [USER, *messages_pair(content=[image()]), {"role": "user", "content": [image()]}],
    "wrong type": [{"role": "user", "content": [image("image/jpeg")]}],
    "no image": [{"role": "user", "content": [image("text/plain")]}],
    "many images": [{"role": "user", "content": [image()] * 25}, *messages_pair()],
    "thinking": [USER, *messages_pair(thought=thought("abc="), is_error=False), USER],
    "labeled": [USER, *messages_pair(thought=thought("messages:abc")), USER],
    "foreign": [USER, *messages_pair(thought=thought("responses:abc")), USER],
    "placeholder": [USER, *messages_pair(thought=thought("abc", "Thinking...")), USER],
    "redacted": [USER, *messages_pair(thought={"type": "redacted_thinking", "data": "x"}), USER],
    "stringified": [USER, *messages_pair(content=json.dumps([image()])), USER],
    "last": [USER, {"role": "assistant", "content": "a"}],
}
CODEX: dict[str, list[Any]] = {
    **shared(responses_pair, '{"a"'),
    "empty": [USER, *responses_pair(call=""), USER],
    "no object": [USER, *responses_pair(call="[1]"), USER],
    "custom": [USER, *responses_pair(kind="custom", call="ls"), USER],
    "namespace": [USER, *responses_pair(namespace="mcp__a"), USER],
    "reasoning": [USER, reasoning("gAAA", summary=[]), *responses_pair(), USER],
    "no summary": [USER, reasoning("gAAA"), USER],
    "labeled": [USER, reasoning("responses:x", summary=[]), USER],
    "foreign": [USER, reasoning("messages:x", summary=[]), USER],
    "said": [
        USER,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
        },
        USER,
    ],
    "image": [{"role": "user", "content": [{**PICTURE, "detail": "high"}]}],
    "URL": [{"role": "user", "content": [{**PICTURE, "image_url": "https://a.b/c"}]}],
    "more tools": [
        {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {"type": "custom", "name": "exec", "description": ""},
                {"type": "web_search"},
            ],
        },
        USER,
        *responses_pair(),
    ],
    "nameless tool": [USER, {"type": "additional_tools", "tools": [{"type": "function"}]}, USER],
    "reference": [USER, {"type": "item_reference", "id": "msg_1"}],
}
