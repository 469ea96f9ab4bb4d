"""Converts conversation items that Copilot's models do not support.

Calls to tools that the client runs become function calls. Other items become text.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from copilot_proxy.formats.images import untyped_url
from copilot_proxy.formats.responses.compaction import SUMMARY_PROMPT, summary_of
from copilot_proxy.formats.responses.configuration_updates import UPDATE, is_applied
from copilot_proxy.formats.responses.request import COMPACTION_TRIGGER, IMAGE_CALL
from copilot_proxy.formats.responses.tools import item_list
from copilot_proxy.formats.types import Json, ResponsesRequest

COMPACTED: Final = (
    "(The earlier part of the conversation was summarized in a form that this model cannot read.)"
)
_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    # Type of the call -> the fields that can describe it. `actions` are several actions.
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "computer_call": ("action", "actions"),
}
_OUTPUTS: Final = tuple(f"{kind}_output" for kind in _CALLS)
_APPROVAL: Final = "mcp_approval_response"
"""The type of an item with the user's decision about a call."""
_HOSTED: Final = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    IMAGE_CALL,
    "mcp_list_tools",
    "mcp_approval_request",
    _APPROVAL,
    "program",
    "program_output",
)
"""Calls and other items of tools that OpenAI runs. Copilot does not support them."""
_UNIMPORTANT: Final = ("type", "id", "status", "fingerprint")
"""Fields left out of an item's text, because they are useless to the model."""
_SHOWN: Final = ("output", "call_id", "caller", "created_by", "max_output_length", *_UNIMPORTANT)
"""The fields of calls and outputs that are translated, or that mean nothing to the model."""
_KNOWN: Final = ("function_call", "function_call_output", "message", "reasoning")
"""The most common items, which Copilot's models support."""
_COMPACTIONS: Final = ("compaction", "context_compaction", "compaction_summary")
"""Items that hold an encrypted summary of the conversation."""
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")
UNREADABLE: Final = {
    "type": "input_text",
    "text": "(This part of the result is encrypted, and this model cannot read it.)",
}
"""Replaces an encrypted part of a tool result."""


def replacements_for(item: Json, notes: list[str]) -> list[Json] | None:
    """Return the items that replace `item`, or None if it needs no change.

    Adds a note if the item is dropped.
    """
    kind = item.get("type")
    if not isinstance(kind, str) or kind in _KNOWN:
        return None
    if kind == UPDATE:
        if not is_applied(item):
            notes.append(f"dropped an input item: Copilot does not support {kind}")
        return []
    if kind in _COMPACTIONS and (summary := summary_of(item.get("encrypted_content"))):
        return [_message("user", summary)]
    if kind == COMPACTION_TRIGGER:
        return [_message("user", SUMMARY_PROMPT)]
    if kind in _CALLS:
        _note_others(item, _CALLS[kind], notes)
        return [_call(item, kind, _CALLS[kind])]
    if kind in _OUTPUTS:
        _note_others(item, (), notes)
        return [_output(item)]
    if kind in _HOSTED:
        return _hosted(item, kind, notes)
    translate = _OTHERS.get(kind)
    return translate(item, notes) if translate else None


def compacted_message() -> Json:
    """Return the message that replaces a compaction item that a model cannot read."""
    return _message("user", COMPACTED)


def item_contents(request: ResponsesRequest) -> list[str]:
    """Return the encrypted contents of a request's reasoning, compactions and tool results."""
    found: list[Any] = []
    for item in item_list(request):
        found += [_encrypted(item), *(part["encrypted_content"] for part in _encrypted_parts(item))]
    return [encrypted for encrypted in found if isinstance(encrypted, str)]


def without_encrypted_items(
    request: ResponsesRequest, contents: Collection[str]
) -> ResponsesRequest:
    """Return a client's request without the items that contain any of the encrypted `contents`.

    Compactions and the encrypted parts of tool results are replaced by a note that they existed.
    """
    if isinstance(request["input"], str):
        return request
    items: list[Json] = []
    for item in request["input"]:
        if _encrypted(item) not in contents:
            items.append(with_readable_output(item, contents))
        elif item["type"] in _COMPACTIONS:
            items.append(compacted_message())
    return {**request, "input": items}


def _encrypted(item: Json) -> Any:
    if item.get("type") not in ("reasoning", *_COMPACTIONS):
        return None
    encrypted = item.get("encrypted_content")
    # Copilot never sees our own compactions, so it cannot have refused them.
    return None if summary_of(encrypted) else encrypted


def with_readable_output(item: Json, contents: Collection[str] | None = None) -> Json:
    """Return an item with its encrypted output parts replaced by text.

    If `contents` is given, only the parts with these contents are replaced. Codex sends encrypted
    parts in the results of the agents that it starts.
    """
    parts = [
        part
        for part in _encrypted_parts(item)
        if contents is None or part["encrypted_content"] in contents
    ]
    if not parts:
        return item
    output = [UNREADABLE if part in parts else part for part in item["output"]]
    return {**item, "output": output}


def _encrypted_parts(item: Json) -> list[Json]:
    if item.get("type") not in _RESULTS or not isinstance(output := item.get("output"), list):
        return []
    return [
        part
        for part in output
        if isinstance(part, dict)
        and part.get("type") == "encrypted_content"
        and "encrypted_content" in part
    ]


def as_user_message(item: Json) -> Json:
    """Return an item of an unknown type as a user message."""
    return _message("user", f"({item['type']}: {_json(_described(item))})")


def _note_others(item: Json, fields: tuple[str, ...], notes: list[str]) -> None:
    """Add a note for the fields of a call or output that its replacement cannot contain."""
    others = [name for name in item if item[name] and name not in (*fields, *_SHOWN)]
    note = (
        f"dropped {', '.join(sorted(others))} from {item['type']} items: Copilot does not support "
        "them"
    )
    if others and note not in notes:
        notes.append(note)


def _call(item: Json, kind: str, fields: tuple[str, ...]) -> Json:
    field = next((name for name in fields if item.get(name)), fields[0])
    given = item.get(field)
    arguments = {field: given} if isinstance(given, list) else given
    return {
        "type": "function_call",
        "call_id": _call_id(item),
        "name": kind.removesuffix("_call"),
        "arguments": _json(arguments if isinstance(arguments, dict) else {}),
    }


def _output(item: Json) -> Json:
    output = item.get("output")
    if isinstance(output, dict) and str(output.get("image_url")).startswith("data:"):
        output = [{"type": "input_image", "image_url": output["image_url"]}]
    elif not isinstance(output, str):
        output = _json(output)
    return {"type": "function_call_output", "call_id": _call_id(item), "output": output}


def _call_id(item: Json) -> str:
    # The output of a local shell call has the call id in `id`.
    return str(item.get("call_id") or item.get("id") or "")


def _hosted(item: Json, kind: str, notes: list[str]) -> list[Json]:
    described = _described(item)
    result = described.pop("result", None) if kind == IMAGE_CALL else None
    image = _image(result)
    if result and image is None:
        notes.append(f"dropped the image of an {IMAGE_CALL}: no model accepts it")
    if result and not described:
        described = {"result": "an image"}
    if not described:
        notes.append(f"dropped an input item: Copilot does not support {kind}")
        return []
    role = "user" if kind == _APPROVAL else "assistant"
    message = _message(role, f"({kind}: {_json(described)})")
    if image is not None:
        # A rule moves the image to a user message, where models accept it.
        message["content"].append(image)
    return [message]


def _image(result: object) -> Json | None:
    """Return the part for a generated image, or None if it is not an image that models accept."""
    url = untyped_url(result) if isinstance(result, str) else None
    return {"type": "input_image", "image_url": url} if url else None


def _mcp_call(item: Json, notes: list[str]) -> list[Json]:
    id = _call_id(item)
    name = f"{item.get('server_label') or 'mcp'}__{item.get('name') or 'tool'}"
    output = item.get("output") or item.get("error") or ""
    return [
        {
            "type": "function_call",
            "call_id": id,
            "name": name,
            "arguments": str(item.get("arguments") or "{}"),
        },
        {
            "type": "function_call_output",
            "call_id": id,
            "output": output if isinstance(output, str) else _json(output),
        },
    ]


def _agent_message(item: Json, notes: list[str]) -> list[Json]:
    """Return a message from another of Codex's agents as a user message."""
    content = item.get("content")
    parts = (
        [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    )
    texts = [content] if isinstance(content, str) else [part.get("text") for part in parts]
    if any(part.get("type") == "encrypted_content" for part in parts):
        notes.append("dropped the encrypted part of an agent_message: Copilot cannot read it")
    head = f"Message from {item.get('author') or 'an agent'}"
    head += f" to {item['recipient']}" if item.get("recipient") else ""
    text = "\n".join(text for text in texts if isinstance(text, str))
    return [_message("user", f"{head}:\n{text}")]


def _context_compaction(item: Json, notes: list[str]) -> list[Json]:
    """Return Codex's compaction item with OpenAI's type, or [] if the item has no content."""
    encrypted = item.get("encrypted_content")
    return [{"type": "compaction", "encrypted_content": encrypted}] if encrypted else []


_OTHERS: Final[Mapping[str, Callable[[Json, list[str]], list[Json]]]] = {
    "agent_message": _agent_message,
    "context_compaction": _context_compaction,
    "compaction_summary": _context_compaction,
    "mcp_call": _mcp_call,
}


def _described(item: Json) -> Json:
    return {name: v for name, v in item.items() if name not in _UNIMPORTANT and v is not None}


def _message(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
