"""``POST /responses``: checks the request and answers in the format of the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import catalogue, models, pricing, responses_rules, responses_tools
from .call_items import TEXTS
from .conversation import Conversation
from .documents import DOCUMENT_TOKENS
from .faults import QUIRKS
from .responses_answers import answer
from .responses_items import ResponseFacts, has_phases
from .script import IMAGE_TOKENS, last_words, make_reply, refuse, tokens
from .stream import send
from .types import Item, Model, ResponsesRequest

if TYPE_CHECKING:
    from .call import Call

EMPTY_ITEMS = ("reasoning", "compaction")


async def handle(call: Call, headers: dict[str, str]) -> None:
    """Answer a request."""
    body = responses_rules.shape(call.record.body)
    model = models.find(call.state, body, catalogue.RESPONSES)
    responses_rules.check(body, model, call)
    quirks = call.state.faults.take_all(QUIRKS, call.path)
    conversation = read(body, model)
    responses_rules.check_length(model, conversation.prompt_tokens)
    pricing.check_quota(call, model)
    if call.state.prompt_cache is not None:
        call.state.prompt_cache.use(conversation, body)
    reply = make_reply(conversation)
    if "refusal" in quirks:
        refuse(reply)
    pricing.charge(call, model, reply)
    facts = ResponseFacts(model, reply, body, call.state.opaque_strings, quirks)
    await send(call, answer(facts), headers, streamed=bool(body.get("stream")))


def read(body: ResponsesRequest, model: Model) -> Conversation:
    """Return the parts of the request that determine the reply."""
    items = responses_rules.items(body)
    format_ = (body.get("text") or {}).get("format") or {}
    offered = catalogue.supports(model, "reasoning_effort") or []
    # Models with optional reasoning do not reason unless the request asks for it.
    default = "none" if "none" in offered else "medium" if offered else "none"
    found = Conversation(
        model["id"],
        user=_last_user_text(items),
        results=_results(items),
        tools=responses_tools.offered(body, items),
        search=responses_tools.search_of(body),
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False
        and bool(catalogue.supports(model, "parallel_tool_calls")),
        images=len(list(responses_rules.images(items))),
        documents=len(list(responses_rules.parts(items, "input_file"))),
        limit=body.get("max_output_tokens"),
        reasons=((body.get("reasoning") or {}).get("effort") or default) != "none",
        talks=has_phases(model),
        prompt_tokens=_count(body, items),
    )
    if format_.get("type") == "json_schema":
        found.schema = format_["schema"]
    elif format_.get("type") == "json_object":
        found.schema = {}
    if len(items) > 2 and found.prompt_tokens >= 1024:
        found.cached_tokens = (found.prompt_tokens - 64) // 128 * 128
    return found


def text_of(content: Any) -> str:
    """Return the text of ``content`` or ``output``, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if "text" in part)


def _last_user_text(items: list[Item]) -> str:
    for item in reversed(items):
        if item.get("role") == "user":
            return last_words(item["content"])
    return ""


def _results(items: list[Item]) -> list[tuple[str, str]]:
    """Return (tool name, output) for each tool output at the end of the conversation.

    System messages after the outputs are skipped, because coding agents add such messages.
    """
    names = {one["call_id"]: one["name"] for one in items if one.get("type") in TEXTS}
    found: list[tuple[str, str]] = []
    for item in reversed(items):
        if item.get("role") in ("system", "developer"):
            continue
        if item.get("type") not in ("function_call_output", "custom_tool_call_output"):
            break
        found.insert(0, (names[item["call_id"]], text_of(item["output"])))
    return found


def _forced(choice: Any) -> str | None:
    if isinstance(choice, dict):
        return str(choice["name"])
    return choice if choice in ("none", "required") else None


def _count(body: ResponsesRequest, items: list[Item]) -> int:
    total = 3 + tokens(body.get("instructions") or "")
    for item in items:
        if item.get("type") in EMPTY_ITEMS:
            continue
        text = text_of(item.get("content")) + text_of(item.get("output"))
        arguments = str(item.get("arguments") or item.get("input") or "")
        total += 4 + tokens(text + item.get("name", "") + arguments)
    total += DOCUMENT_TOKENS * len(list(responses_rules.parts(items, "input_file")))
    total += IMAGE_TOKENS * len(list(responses_rules.images(items)))
    return total + sum(tokens(str(tool)) for tool in body.get("tools") or [])
