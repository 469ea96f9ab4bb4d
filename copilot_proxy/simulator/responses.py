"""``POST /responses``: checks the request, works out the reply, answers in OpenAI's newer shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import catalogue, models, pricing, responses_rules
from .faults import QUIRKS
from .responses_answers import Facts, answer, has_phases
from .script import IMAGE_TOKENS, Conversation, Tool, last_words, reply, tokens
from .stream import send

if TYPE_CHECKING:
    from .call import Call

SAYING_NOTHING = ("reasoning", "compaction")


async def handle(call: Call, headers: dict[str, str]) -> None:
    """Answer one request."""
    body = responses_rules.shape(call.record.body)
    model = models.wanted(call.state, body, catalogue.RESPONSES)
    responses_rules.check(body, model, call)
    quirks = call.state.faults.take_all(QUIRKS, call.path)
    conversation = read(body, model)
    responses_rules.check_length(model, conversation.prompt_tokens)
    pricing.charge(call, model)
    facts = Facts(model, reply(conversation), body, call.state.seals, quirks)
    await send(call, answer(facts), headers, streamed=bool(body.get("stream")))


def read(body: dict[str, Any], model: catalogue.Model) -> Conversation:
    """What matters of the request for the reply."""
    items = responses_rules.items(body)
    format_ = (body.get("text") or {}).get("format") or {}
    offered = catalogue.supports(model, "reasoning_effort") or []
    # Models that may go without reasoning do so unless they are asked.
    usual = "none" if "none" in offered else "medium" if offered else "none"
    found = Conversation(
        model["id"],
        user=_last_user_text(items),
        results=_results(items),
        tools=[
            Tool(one["name"], one["parameters"])
            for one in body.get("tools") or []
            if one["type"] == "function"
        ],
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        images=len(list(responses_rules.images(items))),
        limit=body.get("max_output_tokens"),
        reasons=((body.get("reasoning") or {}).get("effort") or usual) != "none",
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
    """The text of a content or an output, whatever its form."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if "text" in part)


def _last_user_text(items: list[dict[str, Any]]) -> str:
    for item in reversed(items):
        if item.get("role") == "user":
            return last_words(item["content"])
    return ""


def _results(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The outputs that end the conversation, with the names of their tools.

    Coding agents put system messages after them.
    """
    names = {one["call_id"]: one["name"] for one in items if one.get("type") == "function_call"}
    found: list[tuple[str, str]] = []
    for item in reversed(items):
        if item.get("role") in ("system", "developer"):
            continue
        if item.get("type") != "function_call_output":
            break
        found.insert(0, (names[item["call_id"]], text_of(item["output"])))
    return found


def _forced(choice: Any) -> str | None:
    if isinstance(choice, dict):
        return str(choice["name"])
    return choice if choice in ("none", "required") else None


def _count(body: dict[str, Any], items: list[dict[str, Any]]) -> int:
    total = 3 + tokens(body.get("instructions") or "")
    for item in items:
        if item.get("type") in SAYING_NOTHING:
            continue
        said = text_of(item.get("content")) + text_of(item.get("output"))
        total += 4 + tokens(said + item.get("name", "") + item.get("arguments", ""))
    total += IMAGE_TOKENS * len(list(responses_rules.images(items)))
    return total + sum(tokens(str(tool)) for tool in body.get("tools") or [])
